import { assertEquals, assertStringIncludes } from "@std/assert";
import { receiverTestOf } from "../../src/domain/curl.ts";
import { canRun } from "../support/can_run.ts";

Deno.test({
  name: "receiverTestOf(): fails until the receiver answers 2xx, and sends what was sent",
  ignore: !await canRun("curl"),
  fn: runAgainstReceiver,
});

async function runAgainstReceiver(): Promise<void> {
  let status = 500;
  const got: string[] = [];
  await using receiver = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (r) => {
      got.push(`${r.headers.get("x-odd")} ${await r.text()}`);
      return new Response(null, { status });
    },
  );
  const script = receiverTestOf({
    url: `http://127.0.0.1:${receiver.addr.port}/it's[1]`,
    headers: [["X-Odd", "$(id) 'quoted'"]],
    body: `{"a":"it's \\"1.10\\""}`,
  });
  const run = async () => {
    const child = new Deno.Command("sh", {
      args: ["-c", script],
      stderr: "piped",
      stdout: "piped",
    });
    const { code, stdout, stderr } = await child.output();
    return { code, said: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  };
  const failed = await run();
  assertEquals(failed.code, 1);
  assertStringIncludes(failed.said, "failed: answered 500, expected 2xx");
  status = 204;
  assertEquals(await run(), { code: 0, said: "ok: answered 204\n" });
  assertEquals(got, Array(2).fill(`$(id) 'quoted' {"a":"it's \\"1.10\\""}`));
}
