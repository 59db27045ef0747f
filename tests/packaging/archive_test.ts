import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { buildArchive } from "../../packaging/archive.ts";
import { assertIsBellhook, compileBinary } from "../../packaging/binary.ts";
import { bundle } from "../../packaging/bundle.ts";
import { output } from "../../packaging/run_command.ts";
import { HERE } from "../../packaging/target.ts";
import { aDirectory } from "../cli/captured.ts";
import { freePort } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

const IS_BELLHOOK = /^bellhook \d+\.\d+\.\d+( \([0-9a-f]{7,}(-dirty)?\))?\n$/;

Deno.test({
  name: "archive: unpacked anywhere it runs, delivers, stops, starts again, and is clean",
  ignore: HERE === undefined || Deno.build.os === "windows",
  async fn() {
    await using built = await aDirectory();
    const bundled = await bundle(built.path);
    const archive = await buildArchive({
      bundle: bundled,
      target: HERE!,
      folder: built.path,
      level: 1,
    });
    await using place = await aDirectory();
    await output("tar", ["-C", place.path, "-xzf", archive]);
    const [folder] = [...Deno.readDirSync(place.path)].map(({ name }) => name);
    // As people put it into their PATH.
    const program = join(place.path, "bellhook");
    await Deno.symlink(join(place.path, folder!, "bellhook"), program);

    await using receiver = startRawServer({});
    await using home = await aDirectory();
    const port = freePort();
    await using elsewhere = await aDirectory({
      "config.json": JSON.stringify({
        server: { listen: `127.0.0.1:${port}` },
        subscriptions: [{
          id: "app",
          url: receiver.url,
          events: ["*"],
          secret: { env: "APP_SECRET" },
          allowHttp: true,
          allowNetworks: ["127.0.0.0/8"],
        }],
      }),
    });
    const command = (...args: string[]) =>
      new Deno.Command(program, {
        args,
        cwd: elsewhere.path,
        clearEnv: true,
        // Whatever Deno would fetch, it would fetch from a proxy that isn't there.
        env: {
          HOME: home.path,
          PATH: "/usr/bin:/bin",
          HTTPS_PROXY: "http://127.0.0.1:9",
          HTTP_PROXY: "",
          APP_SECRET: `whsec_${btoa("x".repeat(32))}`,
        },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      });
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await command(...args).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, stdout: text(stdout), stderr: text(stderr) };
    };
    const serve = async () => {
      const child = command("serve").spawn();
      void child.stdout.cancel();
      void child.stderr.cancel();
      await until(async () => (await run("status")).code === 0, "it serves");
      return child;
    };

    const { stdout: version } = await run("--version");
    assert(IS_BELLHOOK.test(version), version);
    assertEquals(version, `${bundled.version}\n`);
    for (const round of [1, 2]) {
      const daemon = await serve();
      const sent = await run("send", "booking.created", "--data", `{"round": ${round}}`);
      assertEquals(sent.code, 0, sent.stderr);
      await receiver.received(round);
      // Nothing that the daemon shows was left behind in the checkout.
      for (const path of ["/", "/openapi.json", "/metrics"]) {
        const response = await fetch(`http://127.0.0.1:${port}${path}`);
        await response.body?.cancel();
        assert(response.status < 500, `${path}: ${response.status}`);
      }
      daemon.kill("SIGTERM");
      assertEquals((await daemon.status).code, 0);
    }
    const audit = await run("audit", "--json");
    assertEquals(audit.code, 0, audit.stderr);
    assertEquals(JSON.parse(audit.stdout).deliveries.delivered, 2);
    assertEquals((await run("chekc")).code, 2);
    const { stdout: unit } = await run("install-service", "--print");
    assertStringIncludes(unit, `ExecStart=${await Deno.realPath(place.path)}/${folder}/bellhook `);
  },
});

Deno.test("binary: what deno compile writes is run, and taken away where it is no Bellhook", async () => {
  await using built = await aDirectory();
  const path = `${built.path}/bellhook`;
  await Deno.writeTextFile(path, "#!/bin/sh\necho 'deno 2.9.6'\n", { mode: 0o755 });
  let message = "";
  await assertIsBellhook(path, "bellhook 0.1.0").catch((error) => message = error.message);
  assertStringIncludes(message, `said "deno 2.9.6"`);
  assertEquals([...Deno.readDirSync(built.path)], []);
});

Deno.test({
  name: "binary: without a runtime to fetch nothing is written, whatever DENORT_BIN says",
  ignore: HERE === undefined,
  async fn() {
    await using built = await aDirectory({ "bellhook.js": "console.log('bellhook 0.1.0')" });
    const bundle = { path: `${built.path}/bellhook.js`, version: "bellhook 0.1.0" };
    const before = Deno.env.get("DENORT_BIN");
    Deno.env.set("DENORT_BIN", Deno.execPath());
    try {
      const compiled = await compileBinary({ bundle, target: HERE!, folder: built.path });
      // Where the runtime can be fetched, what was written has been run.
      if (compiled.kind === "written") assert(compiled.wasRun);
      else assertEquals([...Deno.readDirSync(built.path)].map(({ name }) => name), ["bellhook.js"]);
    } finally {
      if (before === undefined) Deno.env.delete("DENORT_BIN");
      else Deno.env.set("DENORT_BIN", before);
    }
  },
});
