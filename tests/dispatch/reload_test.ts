import { assertEquals, assertStringIncludes } from "@std/assert";
import { startEngine } from "../../src/engine.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { aConfig } from "../support/a_config.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Secret } from "../../src/domain/secret.ts";

Deno.test("reload: tokens stay as long as others than this machine can call", async () => {
  const auth = {
    publishers: [],
    operators: [{ name: "ann", token: new Secret("t0ken".repeat(4)) }],
  };
  const { server } = aConfig();
  const listen = { kind: "tcp", host: "0.0.0.0", port: 8420 } as const;
  const engine = await startEngine(aConfig({ auth, server: { ...server, listen } }), {
    clock: new FakeClock(),
    random: systemRandom(),
    log: silentLog,
    reload: () => Promise.resolve({ ok: true, config: aConfig(), warnings: [] }),
  });
  const statusFor = async () => {
    const headers = { host: "localhost:8420" };
    return (await engine.app.fetch(new Request("http://localhost:8420/v1/events", { headers })))
      .status;
  };
  const report = await engine.reload();
  assertEquals([report.kind, await statusFor()], ["rejected", 401]);
  if (report.kind === "rejected") assertStringIncludes(report.problems[0]!.message, "restart");
  await engine.stop();
});
