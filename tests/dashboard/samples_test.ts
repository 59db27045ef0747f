import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { anEvent, aSubscription } from "../support/a_subscription.ts";
import { Secret } from "../../src/domain/secret.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { samplesFor } from "../../src/http/dashboard/guide/sample.ts";
import { type Scheme, schemeOf } from "../../src/http/dashboard/guide/scheme.ts";
import { headersFor } from "../../src/profiles/sign.ts";
import { ed25519Pair } from "../../src/profiles/signing_key.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { resolveProfile } from "../../src/profiles/resolve_profile.ts";
import { systemClock } from "../../src/runtime/clock.ts";

/** A request to check, and whether it is genuine. */
interface Case {
  readonly what: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly secret: string;
  readonly genuine: boolean;
}

/** A sample, and what it has to tell apart. */
interface Suite {
  readonly name: string;
  readonly code: string;
  readonly cases: readonly Case[];
}

/** How samples are run, all in one process: a driver prints a verdict for each case, in order. */
interface Language {
  readonly name: string;
  /** Says whether the machine has it. */
  readonly probe: readonly string[];
  readonly files: (suites: readonly Suite[]) => Record<string, string>;
  readonly commands: readonly (readonly string[])[];
}

const text = (value: string) => JSON.stringify(value);
const base64 = (value: string) => Buffer.from(value).toString("base64");

/** Each sample in a file of its own, and all cases in one. */
function filesOf(suites: readonly Suite[], extension: string): Record<string, string> {
  return {
    "cases.json": JSON.stringify(suites.map(({ cases }) => cases)),
    ...Object.fromEntries(suites.map(({ code }, index) => [`s${index}.${extension}`, code])),
  };
}

const LANGUAGES: readonly Language[] = [
  {
    name: "Node",
    probe: ["node", "--version"],
    files: (suites) => ({
      ...filesOf(suites, "mjs"),
      "driver.mjs": `import { readFileSync } from "node:fs";
for (const [index, cases] of JSON.parse(readFileSync("cases.json")).entries()) {
  const { isGenuine } = await import(\`./s\${index}.mjs\`);
  for (const { headers, body, secret } of cases) {
    const lower = Object.fromEntries(Object.entries(headers).map(([k, v]) => [k.toLowerCase(), v]));
    console.log(isGenuine(lower, Buffer.from(body), secret));
  }
}`,
    }),
    commands: [["node", "driver.mjs"]],
  },
  {
    name: "Python",
    probe: ["python3", "--version"],
    files: (suites) => ({
      ...filesOf(suites, "py"),
      "driver.py": `import importlib
import json
class Headers(dict):
    def get(self, name, default=None):
        return dict.get(self, name.lower(), default)
for index, cases in enumerate(json.load(open("cases.json", encoding="utf-8"))):
    sample = importlib.import_module(f"s{index}")
    for case in cases:
        headers = Headers({k.lower(): v for k, v in case["headers"].items()})
        good = sample.is_genuine(headers, case["body"].encode(), case["secret"])
        print("true" if good else "false")`,
    }),
    commands: [["python3", "driver.py"]],
  },
  {
    name: "PHP",
    probe: ["php", "--version"],
    files: (suites) => ({
      ...filesOf(
        suites.map((suite, index) => ({
          ...suite,
          code: suite.code.replace("<?php\n", `<?php\nnamespace s${index};\n`),
        })),
        "php",
      ),
      "driver.php": `<?php
foreach (json_decode(file_get_contents('cases.json'), true) as $index => $cases) {
    require "s$index.php";
    foreach ($cases as $case) {
        $headers = array_change_key_case($case['headers']);
        $good = "s$index\\\\is_genuine"($headers, $case['body'], $case['secret']);
        echo $good ? "true\\n" : "false\\n";
    }
}`,
    }),
    commands: [["php", "driver.php"]],
  },
  {
    name: "Ruby",
    probe: ["ruby", "--version"],
    files: (suites) => ({
      ...filesOf(suites, "rb"),
      "driver.rb": `require "json"
JSON.parse(File.read("cases.json", encoding: "utf-8")).each_with_index do |cases, index|
  load "./s#{index}.rb"
  cases.each do |c|
    puts genuine?(c["headers"].transform_keys(&:downcase), c["body"].b, c["secret"])
  end
end`,
    }),
    commands: [["ruby", "driver.rb"]],
  },
  {
    name: "Go",
    // The samples use what came with Go 1.21.
    probe: ["sh", "-c", "go version | grep -Eq 'go1[.](2[1-9]|[3-9][0-9])'"],
    files: (suites) => ({
      "go.mod": "module receiver\n\ngo 1.21\n",
      ...Object.fromEntries(
        suites.map(({ code }, index) => [`s${index}/webhooks.go`, code]),
      ),
      "driver.go": `package main

import (
	"fmt"
	"net/http"
${suites.map((_, index) => `	s${index} "receiver/s${index}"`).join("\n")}
)

func header(pairs ...string) http.Header {
	header := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		header.Set(pairs[i], pairs[i+1])
	}
	return header
}

func main() {
${
        suites.flatMap(({ cases }, index) =>
          cases.map(({ headers, body, secret }) => {
            const pairs = Object.entries(headers).flat().map(text).join(", ");
            const call = `s${index}.IsGenuine(header(${pairs}), []byte(${text(body)}), ${
              text(secret)
            })`;
            return `	fmt.Println(${call})`;
          })
        ).join("\n")
      }
}`,
    }),
    commands: [["go", "vet", "./..."], ["go", "run", "."]],
  },
  {
    name: "Java",
    probe: ["javac", "-version"],
    files: (suites) => ({
      ...Object.fromEntries(
        suites.map(({ code }, index) => [`s${index}/Webhooks.java`, `package s${index};\n${code}`]),
      ),
      "Driver.java": `import java.util.*;
public class Driver {
  static Map<String, String> headers(String... pairs) {
    Map<String, String> headers = new HashMap<>();
    for (int i = 0; i < pairs.length; i += 2) headers.put(pairs[i].toLowerCase(), pairs[i + 1]);
    return headers;
  }
  public static void main(String[] args) throws Exception {
${
        suites.flatMap(({ cases }, index) =>
          cases.map(({ headers, body, secret }) => {
            const pairs = Object.entries(headers).flat().map(text).join(", ");
            const bytes = `Base64.getDecoder().decode(${text(base64(body))})`;
            const call = `s${index}.Webhooks.isGenuine(headers(${pairs}), ${bytes}, ${
              text(secret)
            })`;
            return `    System.out.println(${call});`;
          })
        ).join("\n")
      }
  }
}`,
    }),
    commands: [["javac", "-encoding", "UTF-8", "-Xlint:all", "-Werror", "Driver.java"], [
      "java",
      "Driver",
    ]],
  },
];

/** The forms of signature there are; a body each that its receivers find hard. */
const SUBSCRIPTIONS: Record<string, Subscription> = {
  ...Object.fromEntries(
    [...BUILT_IN].map(([name, profile]) => [
      name,
      aSubscription({ id: name, profile, secret: secretFor(profile.secretForm) }),
    ]),
  ),
  ed25519: aSubscription({ secret: new Secret(ed25519Pair(new Uint8Array(32).fill(7)).secret) }),
  "a key in Base64": aSubscription({
    profile: resolveProfile("own", {
      extends: "standard",
      signature: { header: "X-Own", algorithm: "sha384", encoding: "base64" },
    }, BUILT_IN.get("standard")),
  }),
  "a composed one": aSubscription({
    profile: resolveProfile("composed", {
      extends: "roostsync",
      signature: {
        header: "X-Acme-Signature",
        algorithm: "sha512",
        encoding: "hex",
        over: `it's#.{timestamp}."\\".{body:encode64}`,
        value: "t={timestamp},v1={signature}",
      },
    }, BUILT_IN.get("roostsync")),
    secret: new Secret(`tricky "sécret" $x #{y} \\n`),
  }),
};

function secretFor(form: "standard" | "text" | "either"): Secret {
  return form === "text" ? new Secret("it's a s3cret") : new Secret(
    `whsec_${base64("a key of thirty-two bytes, here")}`,
  );
}

/** Bodies that JavaScript, or another language's JSON library, would write differently. */
const TRICKY_BODIES = [
  '{"event":"a","data":{"total":1.10,"tax":9000.0,"n":1e3,"z":-0,"e":1E+2}}',
  '{"event":"a","data":{"id":9007199254740993,"big":12345678901234567890,"tiny":1e-400}}',
  '{"event":"a","data":{"10":"ten","2":"two","b":1,"a":2}}',
  '{"event":"a","data":{"note":"caf\\u00e9 \\/ \\u0041 \\ud834\\udd1e"}}',
  '{"event":"a","data":{"__proto__":{"x":1},"constructor":null}}',
  '{"event":"a","data":{"twice":1,"twice":2}}',
  '{"event":"a", "data" : [ 1 , 2 ] }',
  '{"event":"a","data":{"html":"<&>\u2028\u2029","del":"\u007f"}}',
];

/** Requests that are genuine, and such as are not, by the signer's own code. */
function casesFor(subscription: Subscription, key: Scheme): Case[] {
  const secret = subscription.secret!.reveal();
  const now = systemClock.wall();
  const long = JSON.stringify({ text: "ü€𝄞 ".repeat(40), n: 12 });
  const signed = (body: string, at = now) =>
    Object.fromEntries(
      headersFor({ subscription, event: anEvent(), body: new TextEncoder().encode(body), at })
        .map(({ name, value }) => [name, value]),
    );
  const body = '{"event":"booking.created","data":{"id":1,"note":"caf\\u00e9 \\/ é"}}'
    // BookingScheduler's text is what JavaScript writes.
    .replace("\\u00e9", "é").replace("\\/", "/");
  const good = signed(body);
  const given = key.kind === "ed25519" ? key.publicKey : secret;
  const usesTrio = key.kind !== "own";
  const header = key.kind === "own" ? key.header : "webhook-signature";
  const without = Object.fromEntries(Object.entries(good).filter(([name]) => name !== header));
  const all = { secret: given, body, headers: good };
  return [
    { ...all, what: "as sent", genuine: true },
    { ...all, what: "a long one", body: long, headers: signed(long), genuine: true },
    ...TRICKY_BODIES.map((body) => ({
      ...all,
      what: body,
      body,
      headers: signed(body),
      genuine: true,
    })),
    { ...all, what: "another body", body: body.replace("1", "2"), genuine: false },
    { ...all, what: "no body", body: "{}", genuine: false },
    { ...all, what: "no signature", headers: without, genuine: false },
    { ...all, what: "an empty one", headers: { ...good, [header]: "" }, genuine: false },
    {
      ...all,
      what: "a cut one",
      headers: { ...good, [header]: good[header]!.slice(0, -4) },
      genuine: false,
    },
    { ...all, what: "rubbish", headers: { ...good, [header]: "v1,é,v1 v1a,== x" }, genuine: false },
    ...(key.kind === "ed25519"
      ? []
      : [{ ...all, what: "another secret", secret: otherSecret(secret), genuine: false }]),
    ...(usesTrio
      ? [
        { ...all, what: "an old one", headers: signed(body, now - 3_600_000), genuine: false },
        { ...all, what: "one to come", headers: signed(body, now + 3_600_000), genuine: false },
        {
          ...all,
          what: "no timestamp",
          headers: { ...good, "webhook-timestamp": "" },
          genuine: false,
        },
        {
          ...all,
          what: "no number",
          headers: { ...good, "webhook-timestamp": "NaN" },
          genuine: false,
        },
        {
          ...all,
          what: "two signatures",
          headers: { ...good, [header]: `v1,AAAA ${good[header]}` },
          genuine: true,
        },
      ]
      : []),
  ];
}

function otherSecret(secret: string): string {
  return secret.startsWith("whsec_") ? `whsec_${base64("another key of thirty-two bytes!")}` : "no";
}

/** Of these alone there is no Ed25519 in the languages' own libraries. */
const ED25519_BY_LIBRARY = ["Python", "Ruby"];

for (const language of LANGUAGES) {
  const isThere = await has(language.probe);
  Deno.test({
    name: `verify samples in ${language.name}: they tell what is genuine from what is not` +
      (isThere ? "" : " (left out: the machine has no such language)"),
    ignore: !isThere,
    async fn() {
      const suites = Object.entries(SUBSCRIPTIONS)
        .filter(([name]) => name !== "ed25519" || !ED25519_BY_LIBRARY.includes(language.name))
        .map(([name, subscription]): Suite => {
          const scheme = schemeOf(subscription)!;
          const { code } = samplesFor(scheme).find((one) => one.language === language.name)!;
          const shown = language.name !== "Node" && scheme.kind === "own" && scheme.elsewhere ||
            scheme;
          return { name, code, cases: casesFor(subscription, shown) };
        });
      assertEquals(await verdictsOf(language, suites), expected(suites));
    },
  });
}

Deno.test("verify samples: none holds a secret", () => {
  for (const subscription of Object.values(SUBSCRIPTIONS)) {
    const secret = subscription.secret!.reveal();
    for (const { code } of samplesFor(schemeOf(subscription)!)) assert(!code.includes(secret));
  }
});

async function has([command, ...args]: readonly string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(command!, { args, stdout: "null", stderr: "null" })
      .output();
    return success;
  } catch {
    return false;
  }
}

function expected(suites: readonly Suite[]): string[] {
  return suites.flatMap(({ name, cases }) =>
    cases.map(({ what, genuine }) => `${name}, ${what}: ${genuine}`)
  );
}

/** What the samples said, case by case. */
async function verdictsOf(language: Language, suites: readonly Suite[]): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(language.files(suites))) {
      if (name.includes("/")) await Deno.mkdir(`${folder}/${name.split("/")[0]}`);
      await Deno.writeTextFile(`${folder}/${name}`, content);
    }
    let printed = "";
    for (const [command, ...args] of language.commands) {
      const { success, stdout, stderr } = await new Deno.Command(command!, { args, cwd: folder })
        .output();
      assert(success, new TextDecoder().decode(stderr));
      printed = new TextDecoder().decode(stdout);
    }
    const verdicts = printed.trim().split("\n");
    return suites.flatMap(({ name, cases }) =>
      cases.map(({ what }) => `${name}, ${what}: ${verdicts.shift()}`)
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
