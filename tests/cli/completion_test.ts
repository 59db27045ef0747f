import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { aHouse, to } from "./a_house.ts";
import { aDirectory, finish } from "./captured.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** A folder with the script, and a `bellhook` in front of the PATH that is this checkout. */
async function aShell(name: string) {
  const { exitCode, stdout } = await finish(["completion", name]);
  assertEquals(exitCode, 0);
  const directory = await aDirectory({
    script: stdout,
    bellhook: `#!/bin/sh\nexec "${Deno.execPath()}" run -q -A "${MAIN}" "$@"\n`,
    "a file.json": "{}",
  });
  await Deno.chmod(`${directory.path}/bellhook`, 0o755);
  return {
    ...directory,
    /** Runs words of the shell, with the script at `$SCRIPT`. */
    async run(args: readonly string[], environment: Record<string, string> = {}) {
      const { stdout, stderr } = await new Deno.Command(name, {
        args: [...args],
        cwd: directory.path,
        env: {
          PATH: `${directory.path}:/usr/bin:/bin`,
          HOME: directory.path,
          DENO_DIR: `${(await denoDir())}`,
          SCRIPT: `${directory.path}/script`,
          BELLHOOK_CONFIG: "",
          ...environment,
        },
        stdin: "null",
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assertEquals(text(stderr), "");
      return text(stdout).split("\n").slice(0, -1);
    },
  };
}

/** Where Deno keeps what it has fetched, for a shell whose home is another. */
async function denoDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

/** Lets bash complete a line, the last word of which may be begun or empty. */
function inBash(words: readonly string[]): string[] {
  const script = `source "$SCRIPT"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bellhook
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  return ["--norc", "--noprofile", "-c", script, "bash", ...words];
}

Deno.test({
  name: "completion bash: commands, their options, their values and files",
  ignore: !await isInstalled("bash"),
  async fn() {
    await using bash = await aShell("bash");
    const complete = (...words: string[]) => bash.run(inBash(["bellhook", ...words]));
    assertEquals(await complete("re"), ["reload", "retry", "replay", "resume"]);
    assertEquals(await complete("-c", "config.json", "aud"), ["audit"]);
    assertEquals(await complete("replay", "--st"), ["--state"]);
    assertEquals(await complete("replay", "--ur"), ["--url"]);
    assertEquals(await complete("--js"), ["--json"]);
    assertEquals(await complete("replay", "--state", "ex"), ["exhausted"]);
    assertEquals(await complete("secret", "--profile", "booking-"), ["booking-experts"]);
    assertEquals(await complete("completion", "z"), ["zsh"]);
    assertEquals(await complete("check", "-c", "a"), ["a file.json"]);
    assertEquals(await complete("backup", "a"), ["a file.json"]);
    assertEquals(await complete("send", "--data", ""), [""]);
    assertEquals(await complete("help", "aud"), ["audit"]);
  },
});

Deno.test({
  name: "completion bash: subscriptions are asked of the daemon; where none answers there are none",
  ignore: !await isInstalled("bash"),
  async fn() {
    await using house = await aHouse({
      subscriptions: (server) => ["guests", "gates", "crm"].map((id) => to(server, { id })),
    });
    await using bash = await aShell("bash");
    const { url } = house.daemon;
    const complete = (words: string[], environment: Record<string, string> = {}) =>
      bash.run(inBash(["bellhook", ...words]), environment);
    assertEquals((await complete(["--url", url, "pause", "g"])).sort(), ["gates", "guests"]);
    assertEquals(await complete(["replay", "--subscription", "c"], { BELLHOOK_URL: url }), ["crm"]);
    assertEquals(await complete(["pause", ""], { BELLHOOK_URL: "http://127.0.0.1:9" }), [""]);
  },
});

Deno.test({
  name: "completion fish: commands, options, values and subscriptions",
  ignore: !await isInstalled("fish"),
  async fn() {
    await using house = await aHouse();
    await using fish = await aShell("fish");
    const complete = async (line: string) =>
      (await fish.run(
        ["--no-config", "-c", `source $SCRIPT; complete -C ${JSON.stringify(line)}`],
        {
          BELLHOOK_URL: house.daemon.url,
        },
      )).map((found) => found.split("\t")[0]);
    assertEquals(await complete("bellhook aud"), ["audit"]);
    assertEquals(await complete("bellhook replay --st"), ["--state"]);
    assertEquals(await complete("bellhook replay --state ex"), ["exhausted"]);
    assertEquals(await complete("bellhook pause "), ["guests"]);
  },
});

Deno.test({
  name: "completion zsh: it loads as a script and from $fpath, and completes",
  ignore: !await isInstalled("zsh"),
  async fn() {
    await using house = await aHouse();
    await using zsh = await aShell("zsh");
    await Deno.writeTextFile(`${zsh.path}/zpty.zsh`, ZPTY);
    const complete = async (line: string) =>
      (await zsh.run(["-f", "zpty.zsh", line], { BELLHOOK_URL: house.daemon.url })).join("\n");
    assertMatch(await complete("bellhook aud"), /bellhook audit/);
    assertMatch(await complete("bellhook replay --sta"), /--state/);
    assertMatch(await complete("bellhook pause gu"), /pause guests/);
    const autoload = "fpath=($PWD/f $fpath); autoload -Uz compinit; compinit -D -u; " +
      "mkdir f; cp $SCRIPT f/_bellhook; compinit -D -u; print ${_comps[bellhook]}";
    assertEquals(await zsh.run(["-f", "-c", autoload]), ["_bellhook"]);
  },
});

/** A zsh that types a line and Tab into another, and prints what stands there then. */
const ZPTY = `
zmodload zsh/zpty
zpty -b z zsh -f -i
zpty -w z "PROMPT=; RPROMPT=; unsetopt beep; autoload -Uz compinit; compinit -D -u; source $SCRIPT; print RE""ADY"
zpty -r -m z out '*READY*'
zpty -w -n z "$1"$'\\t'
for i in {1..200}; do
  zpty -r -t z more && out+=$more
  [[ $out == *(audit|--state|guests)* ]] && break
  zselect -t 5 2>/dev/null || { zmodload zsh/zselect; zselect -t 5 }
done
print -r -- $out
zpty -d z
`;

Deno.test("completion: no shell, or one that there is no script for, is not valid", async () => {
  const none = await finish(["completion"]);
  assertEquals([none.exitCode, none.stdout], [2, ""]);
  assertStringIncludes(none.stderr, "bash, zsh, fish");
  assertEquals((await finish(["completion", "tcsh"])).exitCode, 2);
});

async function isInstalled(shell: string): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(shell, { args: ["--version"] }).output();
    return success;
  } catch (error) {
    assert(error instanceof Deno.errors.NotFound);
    return false;
  }
}
