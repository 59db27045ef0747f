import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { buildArchive, unpack } from "../../packaging/archive.ts";
import { assertIsBellhook, compileBinary } from "../../packaging/binary.ts";
import { bundle } from "../../packaging/bundle.ts";
import { finished, output } from "../../packaging/run_command.ts";
import { smokeTest } from "../../packaging/smoke.ts";
import { storiesOn } from "../../packaging/stories_on_bundle.ts";
import { HERE } from "../../packaging/target.ts";
import { aDirectory } from "../cli/captured.ts";

Deno.test({
  name: "archive: runs wherever it is unpacked, and passes the stories",
  ignore: HERE === undefined || Deno.build.os === "windows",
  async fn(test) {
    await using built = await aDirectory();
    const bundled = await bundle(built.path);
    assertMatch(bundled.version, /^bellhook \d+\.\d+\.\d+( \([0-9a-f]{7,}(-dirty)?\))?$/);
    const archive = await buildArchive({
      bundle: bundled,
      target: HERE!,
      folder: built.path,
      level: 1,
    });
    await using unpacked = await unpack(archive);
    // As a symbolic link in the PATH.
    await using place = await aDirectory();
    const program = join(place.path, "bellhook");
    await Deno.symlink(unpacked.program, program);

    await test.step("smoke: it starts, delivers, stops, starts again, and is clean", () =>
      smokeTest(program, bundled.version));

    await test.step("licenses: of everything in it, in the program and beside it", async () => {
      const said = (await output(program, ["licenses", "--json"])).trim().split("\n")
        .map((line) => JSON.parse(line));
      const names = said.map(({ name }) => name);
      for (const name of ["bellhook", "deno", "deno-std", "hono", "zod", "nodemailer"]) {
        assert(names.includes(name), `${name} is not among ${names}`);
      }
      // Imports of tests are not in a build.
      assert(!names.includes("fast-check"), `${names}`);
      const notices = await Deno.readTextFile(
        join(unpacked.program, "..", "THIRD_PARTY_NOTICES"),
      );
      for (const { name, version, license, text } of said.slice(1)) {
        assertStringIncludes(notices, `${name} ${version} (${license})`);
        assertStringIncludes(notices, text.trim());
        assertMatch(text, /copyright/i);
      }
    });

    await test.step("its exit codes come back, and its unit starts it where it is", async () => {
      assertEquals((await finished(program, ["chekc"])).code, 2);
      const unit = await output(program, ["install-service", "--print"]);
      assertStringIncludes(unit, `ExecStart=${await Deno.realPath(unpacked.program)} serve `);
    });

    await test.step("stories: a bad day, kills, a restored backup and the ladder", async () => {
      const { hold, said } = await storiesOn(program, [
        "tests/stories/bad_day_test.ts",
        "tests/stories/crash_test.ts",
        "tests/stories/ladder_test.ts",
        "tests/cli/backup_test.ts",
      ], { BELLHOOK_ROUNDS: "3" });
      assert(hold, said);
      assertStringIncludes(said, "killed with -9 under load, 3 times");
    });
  },
});

Deno.test("binary: the result of deno compile is run, and removed if it isn't Bellhook", async () => {
  await using built = await aDirectory();
  const path = `${built.path}/bellhook`;
  await Deno.writeTextFile(path, "#!/bin/sh\necho 'deno 2.9.6'\n", { mode: 0o755 });
  let message = "";
  await assertIsBellhook(path, "bellhook 0.1.0").catch((error) => message = error.message);
  assertStringIncludes(message, `said "deno 2.9.6"`);
  assertEquals([...Deno.readDirSync(built.path)], []);
});

Deno.test({
  name: "smoke: reports a build that has the right version but doesn't serve, with its output",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using built = await aDirectory();
    const program = `${built.path}/bellhook`;
    const script = "#!/bin/sh\n" +
      'if [ "$1" = --version ]; then echo "bellhook 0.1.0"; else echo "no assets" >&2; exit 3; fi\n';
    await Deno.writeTextFile(program, script, { mode: 0o755 });
    await assertRejects(
      () => smokeTest(program, "bellhook 0.1.0"),
      Error,
      "it ended with 3: no assets",
    );
  },
});

Deno.test({
  name: "binary: nothing is written if the runtime can't be downloaded, even with DENORT_BIN",
  ignore: HERE === undefined,
  async fn() {
    await using built = await aDirectory({ "bellhook.js": "console.log('bellhook 0.1.0')" });
    const bundle = { path: `${built.path}/bellhook.js`, version: "bellhook 0.1.0", licenses: [] };
    const before = Deno.env.get("DENORT_BIN");
    Deno.env.set("DENORT_BIN", Deno.execPath());
    try {
      const compiled = await compileBinary({ bundle, target: HERE!, folder: built.path });
      // If the runtime can be downloaded, the result was run.
      if (compiled.kind === "written") assert(compiled.wasRun);
      else assertEquals([...Deno.readDirSync(built.path)].map(({ name }) => name), ["bellhook.js"]);
    } finally {
      if (before === undefined) Deno.env.delete("DENORT_BIN");
      else Deno.env.set("DENORT_BIN", before);
    }
  },
});
