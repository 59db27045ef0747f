import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { aHouse, objectsOf, to } from "./a_house.ts";
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
          LANG: "C.UTF-8",
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

/**
 * Types lines into bash, which divides them into words by itself, and has it put all that is offered
 * for the last word in its place, or what another key does; answers what stands in each line then.
 */
function inBash(
  lines: readonly string[],
  { setting = ":", key = "\x14" }: { setting?: string; key?: string } = {},
): readonly string[] {
  const typed = [
    'source "$SCRIPT"',
    setting,
    `bind '"\\C-t": insert-completions'`,
    `bind -x '"\\C-g": printf "%s\\n" "$READLINE_LINE" >> lines'`,
    // Ctrl-U takes the line away again.
    ...lines.map((line) => `${line}${key}\x07\x15`),
  ];
  const typing = `bash --norc --noprofile -i <<< "$1" > /dev/null 2>&1; cat lines; rm lines`;
  return ["--norc", "--noprofile", "-c", typing, "bash", typed.join("\n")];
}

Deno.test({
  name: "completion bash: commands, their options, their values and files",
  ignore: !await isInstalled("bash"),
  async fn() {
    await using bash = await aShell("bash");
    const lines = [
      ["bellhook re", "bellhook reload replay resume retry "],
      ["bellhook -c config.json aud", "bellhook -c config.json audit "],
      ["bellhook replay --st", "bellhook replay --state "],
      ["bellhook replay --ur", "bellhook replay --url "],
      ["bellhook --js", "bellhook --json "],
      ["bellhook replay --state ex", "bellhook replay --state exhausted "],
      ["bellhook secret --profile booking-", "bellhook secret --profile booking-experts "],
      ["bellhook completion z", "bellhook completion zsh "],
      ["bellhook check -c a", "bellhook check -c a\\ file.json "],
      ["bellhook backup a", "bellhook backup a\\ file.json "],
      ["bellhook send --data ", "bellhook send --data "],
      ["bellhook help aud", "bellhook help audit "],
    ] as const;
    const typed = lines.map(([typed]) => typed);
    assertEquals(await bash.run(inBash(typed)), lines.map(([, completed]) => completed));
  },
});

Deno.test({
  name: "completion bash: what is together in the line is one word, wherever bash divides it",
  ignore: !await isInstalled("bash"),
  async fn() {
    await using bash = await aShell("bash");
    const lines = [
      ["bellhook --url http://127.0.0.1:9 aud", "bellhook --url http://127.0.0.1:9 audit "],
      ["bellhook --url=http://127.0.0.1:9 aud", "bellhook --url=http://127.0.0.1:9 audit "],
      ["bellhook send --scope a=1 --da", "bellhook send --scope a=1 --data "],
      ["bellhook replay --state=ex", "bellhook replay --state=exhausted "],
      ["bellhook secret --profile=booking-", "bellhook secret --profile=booking-experts "],
      ["bellhook check --config=a", "bellhook check --config=a\\ file.json "],
      ["bellhook completion --json=", "bellhook completion --json="],
      ["echo a:b; bellhook  --json   aud", "echo a:b; bellhook  --json   audit "],
    ] as const;
    const typed = lines.map(([typed]) => typed);
    const completed = lines.map(([, completed]) => completed);
    assertEquals(await bash.run(inBash(typed)), completed);
    const setting = "COMP_WORDBREAKS=${COMP_WORDBREAKS//[:=]/}";
    assertEquals(await bash.run(inBash(typed, { setting })), completed);
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
    const complete = async (line: string, environment: Record<string, string> = {}) =>
      (await bash.run(inBash([line]), environment))[0];
    for (const daemon of [`--url ${url}`, `--url=${url}`]) {
      const line = `bellhook ${daemon} pause g`;
      assertEquals(await complete(line), `${line.slice(0, -1)}gates guests `);
    }
    const replay = "bellhook replay --subscription";
    assertEquals(await complete(`${replay} c`, { BELLHOOK_URL: url }), `${replay} crm `);
    assertEquals(await complete(`${replay}=c`, { BELLHOOK_URL: url }), `${replay}=crm `);
    const nowhere = { BELLHOOK_URL: "http://127.0.0.1:9" };
    assertEquals(await complete("bellhook pause ", nowhere), "bellhook pause ");
  },
});

/** Ids that a shell would divide, expand or run, each told by its first letter. */
const EVIL_IDS = [
  "a$(touch pwned)",
  "b`touch pwned`",
  "c d  e",
  "f's",
  'g"h"',
  "i\\j",
  "k$HOME",
  "l;touch pwned",
  "m*",
  "n{o,p}q!r",
  "s:t=u v",
  "t&u|v<w>x#~ü",
];

Deno.test({
  name: "completion bash: an id is completed to what the shell reads as that id, and never run",
  ignore: !await isInstalled("bash"),
  async fn() {
    await using house = await aHouse({
      subscriptions: (server) => EVIL_IDS.map((id) => to(server, { id })),
    });
    await using bash = await aShell("bash");
    const environment = { BELLHOOK_URL: house.daemon.url };
    /** The second word of each line, as bash reads it. */
    const read = (lines: readonly string[]) =>
      bash.run([
        ...["--norc", "--noprofile", "-c"],
        `bellhook() { printf '%s\\n' "\${2#--subscription=}"; }; for line; do eval "$line"; done`,
        ...["bash", ...lines],
      ]);
    const starts = [
      ...EVIL_IDS.map((id) => `bellhook pause ${id[0]}`),
      "bellhook pause c\\ d",
      "bellhook pause s:t=",
      "bellhook replay --subscription=s:t",
    ];
    const completed = await bash.run(inBash(starts), environment);
    assertEquals(await read(completed), [...EVIL_IDS, "c d  e", "s:t=u v", "s:t=u v"]);
    const quoted = ["pause 'k", 'pause "c d', "replay --subscription='s:", "pause 'f", 'pause "k'];
    const lines = quoted.map((words) => `bellhook ${words}`);
    assertEquals(await bash.run(inBash(lines, { key: "\t" }), environment), [
      "bellhook pause 'k$HOME' ",
      'bellhook pause "c d  e" ',
      "bellhook replay --subscription='s:t=u v' ",
      // What takes more than these quotes is left to the typist.
      "bellhook pause 'f",
      'bellhook pause "k',
    ]);
    assertEquals(await exists(`${bash.path}/pwned`), false);
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

Deno.test({
  name: "completion fish and zsh: an id is completed as it is, and never run",
  ignore: !await isInstalled("fish") || !await isInstalled("zsh"),
  async fn() {
    await using house = await aHouse({
      subscriptions: (server) => EVIL_IDS.map((id) => to(server, { id })),
    });
    const environment = { BELLHOOK_URL: house.daemon.url };
    await using fish = await aShell("fish");
    const script = "source $SCRIPT; complete -C 'bellhook pause '";
    const offered = await fish.run(["--no-config", "-c", script], environment);
    assertEquals(offered.toSorted(), EVIL_IDS.toSorted());
    await using zsh = await aShell("zsh");
    await Deno.writeTextFile(`${zsh.path}/typing.zsh`, TYPING);
    const lines = EVIL_IDS.map((id) => `bellhook pause ${id[0]}`);
    const completed = await zsh.run(["-f", "typing.zsh", ...lines], environment);
    const read = "bellhook() { print -r -- $2 }; for line; do eval $line; done";
    assertEquals(await zsh.run(["-f", "-c", read, "zsh", ...completed]), EVIL_IDS);
    for (const { path } of [fish, zsh]) assertEquals(await exists(`${path}/pwned`), false);
  },
});

/** A zsh that types each line and Tab into another, and prints what stands in it then. */
const TYPING = `
zmodload zsh/zpty zsh/zselect
zpty -b z zsh -f -i
zpty -w z "PROMPT=; autoload -Uz compinit; compinit -D -u; source $SCRIPT"
zpty -w z 'show() { print -r -- $BUFFER >> lines; BUFFER= }; zle -N show; bindkey "^G" show'
zpty -w z "print RE""ADY"
zpty -r -m z out '*READY*'
for line; do zpty -w -n z "$line"$'\\t\\a'; done
for i in {1..2400}; do
  zpty -r -t z more
  [[ -e lines && $(wc -l < lines) -ge $# ]] && break
  zselect -t 5
done
cat lines
zpty -d z
`;

/** A zsh that types a line and Tab into another, and prints what stands there then. */
const ZPTY = `
zmodload zsh/zpty
zpty -b z zsh -f -i
zpty -w z "PROMPT=; RPROMPT=; unsetopt beep; autoload -Uz compinit; compinit -D -u; source $SCRIPT; print RE""ADY"
zpty -r -m z out '*READY*'
zpty -w -n z "$1"$'\\t'
for i in {1..2400}; do
  zpty -r -t z more && out+=$more
  [[ $out == *(audit|--state|guests)* ]] && break
  zselect -t 5 2>/dev/null || { zmodload zsh/zselect; zselect -t 5 }
done
print -r -- $out
zpty -d z
`;

Deno.test("completion --json: the script, and each subscription, as one object", async () => {
  const plain = await finish(["completion", "fish"]);
  const { exitCode, stdout } = await finish(["completion", "fish", "--json"]);
  assertEquals(exitCode, 0);
  assertEquals(objectsOf(stdout), [{ shell: "fish", script: plain.stdout }]);

  await using house = await aHouse({
    subscriptions: (server) => ["guests", "crm"].map((id) => to(server, { id })),
  });
  const ids = await house.run(["completion", "--subscriptions", "--json"]);
  assertEquals(objectsOf(ids.stdout), [{ id: "crm" }, { id: "guests" }]);
});

Deno.test("completion: no shell, or one that there is no script for, is not valid", async () => {
  const none = await finish(["completion"]);
  assertEquals([none.exitCode, none.stdout], [2, ""]);
  assertStringIncludes(none.stderr, "bash, zsh, fish");
  assertEquals((await finish(["completion", "tcsh"])).exitCode, 2);
});

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    assert(error instanceof Deno.errors.NotFound);
    return false;
  }
}

async function isInstalled(shell: string): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(shell, { args: ["--version"] }).output();
    return success;
  } catch (error) {
    assert(error instanceof Deno.errors.NotFound);
    return false;
  }
}
