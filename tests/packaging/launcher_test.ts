import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { ROOT } from "../../packaging/bundle.ts";
import { DENO_FLAGS } from "../../src/cli/program.ts";
import { VERSION } from "../../src/version.ts";
import { aDirectory } from "../cli/captured.ts";

const LAUNCHER = join(ROOT, "bellhook");
const isWindows = Deno.build.os === "windows";

/** Runs the checkout's launcher with only HOME and PATH in its environment. */
async function launch(place: { path: string }, path: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", '"$0" "$@"', LAUNCHER, ...args],
    cwd: place.path,
    clearEnv: true,
    env: {
      HOME: place.path,
      PATH: path,
      DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`,
    },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** A folder with some of the machine's programs, and with scripts. */
async function programs(place: { path: string }, scripts: Record<string, string>) {
  const folder = join(place.path, "bin");
  await Deno.mkdir(folder);
  for (const [name, text] of Object.entries(scripts)) {
    await Deno.writeTextFile(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }
  return folder;
}

Deno.test({
  name: "launcher: runs the checkout with the Deno in the PATH, and returns its exit code",
  ignore: isWindows,
  async fn() {
    await using place = await aDirectory();
    const folder = await programs(place, { deno: `exec ${Deno.execPath()} "$@"` });
    const path = `${folder}:/usr/bin:/bin`;
    assertEquals(await launch(place, path, "--version"), {
      code: 0,
      stdout: `bellhook ${VERSION}\n`,
      stderr: "",
    });
    assertEquals((await launch(place, path, "chekc")).code, 2);
  },
});

Deno.test({
  name: "launcher: ignores another version of Deno; npx downloads the right one, once",
  ignore: isWindows,
  async fn() {
    await using place = await aDirectory();
    // A separate checkout, so that this one's dist/ stays unchanged.
    const checkout = join(place.path, "checkout");
    await Deno.mkdir(checkout);
    for (const name of ["deno.json", "deno.lock", "main.ts", "src"]) {
      await Deno.symlink(join(ROOT, name), join(checkout, name));
    }
    await Deno.copyFile(LAUNCHER, join(checkout, "bellhook"));
    const calls = join(place.path, "calls");
    const folder = await programs(place, {
      deno: "echo deno 1.46.3",
      npx: `echo "$2" >> ${calls}; shift 2; exec ${Deno.execPath()} "$@"`,
    });
    for (const _ of [1, 2]) {
      const { code, stderr } = await new Deno.Command(join(checkout, "bellhook"), {
        args: ["secret"],
        env: { PATH: `${folder}:/usr/bin:/bin` },
      }).output();
      assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    }
    assertEquals(await Deno.readTextFile(calls), `deno@${Deno.version.deno}\n`);
  },
});

Deno.test({
  name: "launcher: without Deno and npx, it says what to install",
  ignore: isWindows,
  async fn() {
    await using place = await aDirectory();
    const folder = await programs(place, {});
    for (const name of ["dirname", "readlink", "head", "cut", "find"]) {
      await Deno.symlink(`/usr/bin/${name}`, join(folder, name));
    }
    const { code, stderr } = await launch(place, folder, "--version");
    assertEquals(code, 1);
    assertStringIncludes(stderr, "install Node 18 or newer");
  },
});

Deno.test("launcher: has the README's Deno version and permissions", async () => {
  const text = await Deno.readTextFile(LAUNCHER);
  const readme = await Deno.readTextFile(join(ROOT, "README.md"));
  const [, wanted] = /^wanted=(.+)$/m.exec(text)!;
  assertStringIncludes(readme, `npx --yes deno@${wanted} task dev --once`);
  const said = text.slice(text.indexOf('exec "$deno"')).match(/--[a-z][^\s\\]*/g)!;
  assertEquals(said.filter((flag) => flag !== "--config").sort(), [...DENO_FLAGS].sort());
});

Deno.test({
  name: "launcher: what init suggests next can be typed as it stands",
  ignore: isWindows,
  async fn() {
    await using place = await aDirectory();
    const folder = await programs(place, { deno: `exec ${Deno.execPath()} "$@"` });
    const { stderr } = await launch(place, `${folder}:/usr/bin:/bin`, "init", "--local");
    for (const command of ["listen", "serve", "send"]) {
      assertStringIncludes(stderr, `\n  ${LAUNCHER} ${command} `.trimEnd());
    }
  },
});
