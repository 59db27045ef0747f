import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { readConfig } from "../../src/config/load.ts";
import { systemSecretSources } from "../../src/config/secrets.ts";
import { configOf, entry, problemsOf, warningsOf, WHSEC, withText } from "./a_reading.ts";

Deno.test("secret: a secret written into the file is refused unquoted", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": "hunter2"`, "secret")),
    [
      "config.json:6:15  subscriptions[0].secret",
      "  a secret is written into the file",
      '  fix: put it elsewhere and name the place: {"env": "NAME"}, {"file": "/path"} or {"credential": "name"}',
    ].join("\n"),
  );
});

Deno.test("secret: a secret written in the place of a name is refused unquoted", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"env": "whsec_aHVudGVyMg"}`, "secret")),
    [
      "config.json:6:23  subscriptions[0].secret.env",
      "  a secret is written into the file",
      "  fix: put it into the environment or a file, and name that here",
    ].join("\n"),
  );
});

Deno.test("secret: a reference needs one of the three", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {}`, "secret")),
    [
      "config.json:6:15  subscriptions[0].secret",
      '  one of "env", "file", "credential" is missing',
      "  fix: add one of them",
    ].join("\n"),
  );
});

Deno.test("secret: a reference has one of the three only", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"env": "WHSEC", "file": "x"}`, "secret")),
    [
      "config.json:6:32  subscriptions[0].secret.file",
      '  the key "file" does not go with "env"',
      "  fix: keep one of them",
    ].join("\n"),
  );
});

Deno.test("secret: a reference's unknown key gets the nearest name", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"evn": "WHSEC"}`, "secret")),
    [
      "config.json:6:16  subscriptions[0].secret.evn",
      '  the key "evn" is unknown',
      '  fix: did you mean "env"?',
    ].join("\n"),
  );
});

Deno.test("secret: an unset variable is told by its name", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"env": "NOWHERE"}`, "secret")),
    [
      "config.json:6:23  subscriptions[0].secret.env",
      '  the environment variable "NOWHERE" is not set',
      "  fix: set it where Bellhook is started, or name another",
    ].join("\n"),
  );
});

Deno.test("secret: an empty variable is told by its name", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"env": "EMPTY"}`, "secret")),
    [
      "config.json:6:23  subscriptions[0].secret.env",
      '  the environment variable "EMPTY" is set but empty',
      "  fix: give it the secret as its value",
    ].join("\n"),
  );
});

Deno.test("secret: a missing file is told by its whole path", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"file": "key"}`, "secret"), {
      path: "/etc/bellhook/config.json",
    }),
    [
      "/etc/bellhook/config.json:6:24  subscriptions[0].secret.file",
      '  the file "/etc/bellhook/key" cannot be read: there is no such file',
      "  fix: make it readable to Bellhook, or name another",
    ].join("\n"),
  );
});

Deno.test("secret: an empty file is told by its path", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"file": "/run/key"}`, "secret"), {
      files: { "/run/key": "\n" },
    }),
    [
      "config.json:6:24  subscriptions[0].secret.file",
      '  the file "/run/key" is empty',
      "  fix: write the secret into it",
    ].join("\n"),
  );
});

Deno.test("secret: nothing but white space is none, wherever it stands", async () => {
  const world = {
    env: { BLANK: " \t" },
    files: { "/run/key": " \n\t\r\n" },
    credentials: { key: "\u00a0\n" },
  };
  const told = async (reference: string) =>
    (await problemsOf(withText(`"secret": ${reference}`, "secret"), world)).split("\n")[1];
  assertEquals([
    await told(`{"env": "BLANK"}`),
    await told(`{"file": "/run/key"}`),
    await told(`{"credential": "key"}`),
  ], [
    '  the environment variable "BLANK" holds nothing but white space',
    '  the file "/run/key" holds nothing but white space',
    '  the credential "key" holds nothing but white space',
  ]);
});

Deno.test("secret: a file or a credential that is no UTF-8 is refused, a byte order mark left out", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = join(directory, "config.json");
    const sources = systemSecretSources({ get: () => directory });
    const resolved = async (reference: Record<string, string>, bytes: readonly number[]) => {
      await Deno.writeFile(join(directory, "key"), Uint8Array.from(bytes));
      const text = JSON.stringify({
        subscriptions: [entry({ profile: "roostsync", secret: reference })],
      });
      const loaded = await readConfig({ path, text, sources });
      return loaded.ok
        ? loaded.config.subscriptions[0]!.secret!.reveal()
        : loaded.problems.map(({ message, fix }) => [message, fix]).flat();
    };
    const marked = [0xef, 0xbb, 0xbf, ...new TextEncoder().encode("hunter2-é\n")];
    const fix = "write the secret into it as UTF-8, or name another";
    for (const kind of ["file", "credential"]) {
      const reference = { [kind]: "key" };
      assertEquals(await resolved(reference, marked), "hunter2-é");
      const what = kind === "file" ? `file "${directory}/key"` : 'credential "key"';
      assertEquals(await resolved(reference, [0x68, 0xe9, 0x0a]), [
        `the ${what} is no UTF-8 text`,
        fix,
      ]);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("secret: a missing credential is told by its name", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"credential": "key"}`, "secret")),
    [
      "config.json:6:30  subscriptions[0].secret.credential",
      '  there is no credential "key"',
      "  fix: add LoadCredential=key:/path to the systemd unit",
    ].join("\n"),
  );
});

Deno.test("secret: a credential's name is no path", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"credential": "../key"}`, "secret")),
    [
      "config.json:6:30  subscriptions[0].secret.credential",
      '  "../key" is no credential\'s name',
      "  fix: give the name alone, without a path",
    ].join("\n"),
  );
});

Deno.test("secret: that requests go out unsigned without one is told", async () => {
  assertEquals(
    await warningsOf(withText(``, "secret")),
    [
      "config.json:2:3  subscriptions[0].secret",
      '  without a secret its requests go out unsigned: profile "standard" has receivers check',
      '  fix: name where it is to be found: "secret": {"env": "NAME"}',
    ].join("\n"),
  );
});

Deno.test("secret: a free text is no Standard Webhooks secret", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"env": "TEXT"}`, "secret")),
    [
      "config.json:6:15  subscriptions[0].secret",
      '  the secret is no Standard Webhooks secret: "whsec_" or "whsk_" and Base64',
      '  fix: make one with "bellhook secret"',
    ].join("\n"),
  );
});

Deno.test("secret: one of 23 bytes is too short", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"env": "S"}`, "secret"), {
      env: { S: `whsec_${btoa("x".repeat(23))}` },
    }),
    [
      "config.json:6:15  subscriptions[0].secret",
      "  the secret has 23 bytes, not 24 to 64",
      '  fix: make one with "bellhook secret"',
    ].join("\n"),
  );
});

Deno.test("secret: one of 65 bytes is too long", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"env": "S"}`, "secret"), {
      env: { S: `whsec_${btoa("x".repeat(65))}` },
    }),
    [
      "config.json:6:15  subscriptions[0].secret",
      "  the secret has 65 bytes, not 24 to 64",
      '  fix: make one with "bellhook secret"',
    ].join("\n"),
  );
});

Deno.test("secret: an Ed25519 key of 33 bytes is refused", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"env": "S"}`, "secret"), {
      env: { S: `whsk_${btoa("x".repeat(33))}` },
    }),
    [
      "config.json:6:15  subscriptions[0].secret",
      "  the Ed25519 key has 33 bytes, not 32 or 64",
      '  fix: make one with "bellhook secret"',
    ].join("\n"),
  );
});

Deno.test("secret: what is no Base64 is refused", async () => {
  assertEquals(
    await problemsOf(withText(`"secret": {"env": "S"}`, "secret"), {
      env: { S: "whsec_not base64 at all, but long enough" },
    }),
    [
      "config.json:6:15  subscriptions[0].secret",
      '  what follows "whsec_" in the secret is no Base64',
      '  fix: make one with "bellhook secret"',
    ].join("\n"),
  );
});

Deno.test("secret: a notice's secret is a Standard Webhooks one", async () => {
  assertEquals(
    await problemsOf({
      notify: [{ webhook: { url: "https://example.com/", secret: { env: "TEXT" } } }],
    }),
    [
      "config.json:6:19  notify[0].webhook.secret",
      '  the secret is no Standard Webhooks secret: "whsec_" or "whsk_" and Base64',
      '  fix: make one with "bellhook secret"',
    ].join("\n"),
  );
});

Deno.test("secret: a previous secret needs its end and a successor", async () => {
  assertEquals(
    await problemsOf({
      subscriptions: [
        entry({
          profile: "booking-experts",
          secret: undefined,
          previousSecret: { env: "TEXT" },
          events: ["*:*"],
          settings: { subscription_id: 1 },
          permissions: ["reservation"],
        }),
      ],
    }),
    [
      "config.json:3:5  subscriptions[0].secret",
      "  there is a previous secret, but none that follows it",
      '  fix: add "secret", or rename "previousSecret"',
      "config.json:10:25  subscriptions[0].previousSecret.until",
      '  the key "until" is missing',
      '  fix: add "until"',
    ].join("\n"),
  );
});

Deno.test("secret: what stands beside a reference may stand before it", async () => {
  const text = withText(`"previousSecret": {"until": "2030-01-01T00:00:00Z", "env": "WHSEC"}`);
  const { subscriptions: [one] } = await configOf(text);
  assertEquals(one!.previousSecret?.secret.reveal(), WHSEC);
});

Deno.test("secret: an Ed25519 key makes no HMAC", async () => {
  const subscriptions = [entry({ profile: "ours", secret: { env: "KEY" } })];
  const profiles = { ours: { extends: "standard", signature: { header: "X-Ours" } } };
  const env = { KEY: `whsk_${btoa("0123456789abcdef0123456789abcdef")}` };
  assertEquals(
    (await problemsOf({ profiles, subscriptions }, { env })).split("\n").slice(1),
    [
      '  "X-Ours" is an HMAC, which an Ed25519 key ("whsk_") can\'t make',
      '  fix: give it a "whsec_" secret',
    ],
  );
  assertEquals(
    await problemsOf({ subscriptions: [entry({ secret: { env: "KEY" } })] }, { env }),
    "",
  );
});

Deno.test("secret: a previous secret's end is an instant", async () => {
  assertEquals(
    await problemsOf(withText(`"previousSecret": {"env": "WHSEC", "until": "tomorrow"}`)),
    [
      "config.json:7:49  subscriptions[0].previousSecret.until",
      '  "tomorrow" is no instant',
      '  fix: write it in RFC 3339: "2026-01-31T12:00:00Z"',
    ].join("\n"),
  );
});
