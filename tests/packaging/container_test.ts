/** Tests Containerfile, compose.yaml and related files, as far as possible without a registry. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { ROOT } from "../../packaging/bundle.ts";
import { finished } from "../../packaging/run_command.ts";
import { formatProblem, readConfig } from "../../src/config/load.ts";
import { aDirectory } from "../cli/captured.ts";
import { canRun } from "../support/can_run.ts";
import { bellhook, freePort, kill, serve } from "../support/processes.ts";

const CONTAINERFILE = await Deno.readTextFile("packaging/Containerfile");

/** The instructions, each on one line. */
const INSTRUCTIONS = CONTAINERFILE.replaceAll(/^#.*\n/gm, "").replaceAll("\\\n", " ")
  .split("\n").filter((line) => line.trim() !== "");

Deno.test("container: all copied files exist, and every command is valid shell", async () => {
  const words = ["FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "ENV", "EXPOSE", "STOPSIGNAL"]
    .concat(["HEALTHCHECK", "ENTRYPOINT", "CMD"]);
  for (const line of INSTRUCTIONS) {
    const [, word, rest] = /^([A-Z]+) +(.+)$/.exec(line)!;
    assert(words.includes(word!), line);
    if (word === "RUN") assertEquals((await finished("sh", ["-nc", rest!])).code, 0, rest);
    // The exec form, so that signals reach the program.
    if (word === "CMD" || word === "ENTRYPOINT") assert(Array.isArray(JSON.parse(rest!)), line);
  }
  assertStringIncludes(CONTAINERFILE, `npx --yes deno@${Deno.version.deno} task compile`);
  assertMatch(CONTAINERFILE, /^USER bellhook$/m);
});

Deno.test("container: no secrets, databases and results in the image, with either tool", async () => {
  const ignored = await Deno.readTextFile(".containerignore");
  assertEquals(await Deno.readTextFile("packaging/Containerfile.dockerignore"), ignored);
  const lines = ignored.split("\n");
  for (const path of ["/config.json", "/secrets", "/packaging/secrets", "/customers", "**/*.db"]) {
    assert(lines.includes(path), path);
  }
  // Nothing that the build needs is excluded.
  for (const path of ["src", "packaging", "main.ts", "deno.json", "deno.lock", "docs", ".git"]) {
    assert(!lines.includes(path) && !lines.includes(`/${path}`), path);
  }
});

Deno.test("container: the health check works with any port and path, with auth, and ignores HTTP_PROXY", async () => {
  const [, check] = /^HEALTHCHECK .*CMD (\[.+\])$/m.exec(INSTRUCTIONS.join("\n"))!;
  const [program, ...args] = JSON.parse(check!);
  assertEquals(program, "bellhook");
  await using folder = await aDirectory();
  const port = freePort();
  // As in the container, where it listens on all addresses. Here loopback has to do.
  const config = {
    server: {
      listen: `127.0.0.1:${port}`,
      basePath: "/hooks",
      trustProxy: ["10.0.0.0/8"],
    },
    auth: { publishers: [], operators: [{ name: "ops", token: { env: "OPS_TOKEN" } }] },
  };
  await Deno.writeTextFile(join(folder.path, "config.json"), JSON.stringify(config));
  const daemon = await serve(folder.path, port, {
    OPS_TOKEN: "a-token-that-is-long-enough-for-all",
  });
  const before = ["HTTP_PROXY", "http_proxy"].map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const [name] of before) Deno.env.set(name, "http://127.0.0.1:9");
    assertEquals(await bellhook(folder.path, ...args), { code: 0, stdout: "", stderr: "ready\n" });
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
    await kill(daemon);
  }
  assertEquals((await bellhook(folder.path, ...args)).code, 4);
});

Deno.test("compose: its config is valid with the secrets that compose.yaml mounts", async () => {
  const asked: string[] = [];
  const named = (name: string) => {
    asked.push(name);
    return `whsec_${btoa(name.padEnd(32, "-").slice(-32))}`;
  };
  const loaded = await readConfig({
    path: "/etc/bellhook/config.json",
    text: await Deno.readTextFile("packaging/compose.config.json"),
    sources: {
      env: named,
      file: (name) => Promise.resolve(named(name)),
      credential: (name) => Promise.resolve(named(name)),
    },
  });
  assert(loaded.ok, loaded.ok ? "" : loaded.problems.map((one) => formatProblem(one)).join("\n"));
  assertEquals(loaded.warnings, []);
  const compose = await Deno.readTextFile("packaging/compose.yaml");
  const page = await Deno.readTextFile("docs/install.md");
  assertEquals(asked.length, 3);
  for (const path of asked) {
    const name = path.replace("/run/secrets/", "");
    assertMatch(compose, new RegExp(`^      - ${name}$`, "m"));
    assertStringIncludes(compose, `  ${name}:\n    file: ./secrets/${name}\n`);
    assertStringIncludes(page, `packaging/secrets/${name}`);
  }
});

Deno.test("compose: the port is open only to this machine", async () => {
  const compose = await Deno.readTextFile("packaging/compose.yaml");
  assertMatch(compose, /ports:\n +- "127\.0\.0\.1:8420:8420"\n/);
  const page = await Deno.readTextFile("docs/install.md");
  for (const text of [page, CONTAINERFILE]) {
    for (const [, published] of text.matchAll(/ -p (\S*:\S+)/g)) {
      assertMatch(published!, /^127\.0\.0\.1:/);
    }
  }
});

const canCompose = await canRun("docker-compose");

Deno.test({
  name: `compose: docker-compose accepts the file${
    canCompose ? "" : " (left out: it is not here)"
  }`,
  ignore: !canCompose,
  async fn() {
    await using place = await aDirectory();
    await Deno.mkdir(join(place.path, "packaging"));
    for (const name of ["compose.yaml", "compose.config.json", "Containerfile"]) {
      await Deno.copyFile(join(ROOT, "packaging", name), join(place.path, "packaging", name));
    }
    // Debian has version 1, which names projects by their folders.
    const file = join(place.path, "packaging", "compose.yaml");
    await Deno.writeTextFile(file, (await Deno.readTextFile(file)).replace(/^name: .*$/m, ""));
    const { code, stderr } = await finished("docker-compose", [
      ...["-f", file, "config", "-q"],
    ]);
    assertEquals([code, stderr], [0, ""]);
  },
});

const canLint = await canRun("shellcheck");

Deno.test({
  name: `launcher: shellcheck finds nothing${canLint ? "" : " (left out: it is not here)"}`,
  ignore: !canLint,
  async fn() {
    const { code, stdout } = await finished("shellcheck", ["bellhook", ".ci/run", ".ci/steps"]);
    assertEquals([code, stdout], [0, ""]);
  },
});
