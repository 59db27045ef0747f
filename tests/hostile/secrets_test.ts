/** No secret leaks: puts a canary in every place of a config for secrets, then searches for them. */
import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { finish } from "../cli/captured.ts";
import { startMailServer } from "../support/mail_server.ts";
import { freePort } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { SPELLINGS } from "../support/spellings.ts";
import { until } from "../support/until.ts";

/** What one program or another escapes. */
const SPELLED_OTHERWISE = `+/&<>"'=`;

/** Secrets that must appear nowhere. Each is long enough to be found in any encoding. */
const CANARIES = {
  publisher: canary("publisher"),
  operator: canary("operator"),
  credential: canary("credential"),
  secret: signingKey("secret"),
  previous: signingKey("previous"),
  freeText: canary("free-text"),
  header: canary("header") + SPELLED_OTHERWISE,
  bearer: canary("bearer") + SPELLED_OTHERWISE,
  basic: canary("basic") + SPELLED_OTHERWISE,
  notice: signingKey("notice"),
  password: canary("password"),
  slack: canary("slack"),
  written: signingKey("written"),
  userInfo: canary("userinfo"),
  wrongToken: canary("wrong-token"),
} as const;

/** Values that may appear with a request in the database and the API, but in no log, list or notice. */
const URL_CANARIES = { query: canary("url-query"), noticeQuery: canary("notice-query") } as const;

function canary(name: string): string {
  const chance = crypto.getRandomValues(new Uint8Array(12));
  return `canary-${name}-${Buffer.from(chance).toString("hex")}`;
}

function signingKey(name: string): string {
  return `whsec_${btoa(canary(name).slice(0, 48))}`;
}

/** A secret's text, the bytes it stands for, and both in hex and in Base64 wherever they begin. */
function spellings(secret: string): string[] {
  const texts = secret.startsWith("whsec_") ? [secret.slice(6), atob(secret.slice(6))] : [secret];
  return texts.flatMap((text) => [
    text,
    ...Object.values(SPELLINGS).map((spell) => spell(text.replace(SPELLED_OTHERWISE, ""))),
    Buffer.from(text).toString("hex"),
    ...[0, 1, 2].map((shift) => {
      const base64 = Buffer.from("\0".repeat(shift) + text).toString("base64").replace(/=+$/, "");
      // The first and the last characters depend on what stands beside.
      return base64.slice(4, -4);
    }),
  ]);
}

/** All output, by its place. */
class Findings {
  readonly #texts: [where: string, text: string][] = [];

  add(where: string, text: string | Uint8Array): void {
    this.#texts.push([
      where,
      typeof text === "string" ? text : Buffer.from(text).toString("latin1"),
    ]);
  }

  /** The places where these secrets appear. */
  of(secrets: Readonly<Record<string, string>>, in_: RegExp = /./): string[] {
    return this.#texts.filter(([where]) => in_.test(where)).flatMap(([where, text]) =>
      Object.entries(secrets).flatMap(([name, secret]) =>
        spellings(secret).some((spelling) => text.includes(spelling))
          ? [`${name} stands in ${where}: ${around(text, secret)}`]
          : []
      )
    );
  }

  /** How many texts of these places hold that. */
  count(part: string, in_: RegExp): number {
    return this.#texts.filter(([where, text]) => in_.test(where) && text.includes(part)).length;
  }
}

function around(text: string, secret: string): string {
  const at = spellings(secret).map((one) => text.indexOf(one)).find((one) => one >= 0)!;
  return JSON.stringify(text.slice(Math.max(0, at - 80), at + 20));
}

Deno.test("secrets: none leaks, whatever a daemon does and whatever happens to it", async () => {
  const folder = await Deno.makeTempDir();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const found = new Findings();

  // A receiver that echoes the request's headers.
  const receiver = stack.use(startRawServer((request) => {
    if (request.target.startsWith("/slack")) {
      return { status: 500, headers: [["Location", request.target]], body: request.head };
    }
    if (request.target.startsWith("/echoes")) return { status: 500, ...echoed() };
    return {
      status: request.target.startsWith("/fails") ? 500 : 200,
      headers: [["X-Echo", request.header("x-key") ?? ""]],
      // The query may stand in the record of a request, but in no notice.
      body: request.target.startsWith("/fails")
        ? request.head
        : request.head.replace(/^.*\r\n/, ""),
    };
  }));
  const notices = stack.use(startRawServer());
  const mail = stack.use(
    await startMailServer({
      onAuth(auth, _session, callback) {
        const basic = btoa(`\0${auth.username}\0${auth.password}`);
        callback(new Error(`no such password: ${auth.password} (${basic})`));
      },
    }),
  );
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const config = aConfigWith({
    port,
    receiver: receiver.url,
    notices: notices.url,
    mail: mail.port,
  });
  const write = (text: string) => Deno.writeTextFile(`${folder}/config.json`, text);
  await write(JSON.stringify(config));
  await Deno.writeTextFile(`${folder}/previous`, `${CANARIES.previous}\n`);
  await Deno.writeTextFile(`${folder}/notice`, CANARIES.notice);
  await Deno.writeTextFile(`${folder}/on-call`, CANARIES.credential);
  const environment = {
    PUBLISHER: CANARIES.publisher,
    OPERATOR: CANARIES.operator,
    SECRET: CANARIES.secret,
    FREE_TEXT: CANARIES.freeText,
    HEADER: CANARIES.header,
    BEARER: `Bearer ${CANARIES.bearer}`,
    BASIC: `Basic ${btoa(`shop:${CANARIES.basic}`)}`,
    PASSWORD: CANARIES.password,
    SLACK: `${receiver.url}slack/services/${CANARIES.slack}`,
    CREDENTIALS_DIRECTORY: folder,
  };

  const daemon = await serve(folder, { environment, url, found });
  const api = new Api(url, found);
  const publisher = { authorization: `Bearer ${CANARIES.publisher}` };
  const operator = { authorization: `Bearer ${CANARIES.operator}` };

  // Delivered and failed, told to operators by every channel.
  for (const type of ["booking.created", "payment.received"]) {
    await api.call("POST /v1/events", { headers: publisher, body: { type, data: { id: 1 } } });
  }
  await until(async () => {
    const { items } = await api.call("GET /v1/deliveries?state=exhausted", { headers: operator });
    return items.length >= 4;
  }, "some are exhausted");
  await notices.received(3);
  await until(async () => {
    const subscription = encodeURIComponent("notify:mailto:ops@example.com");
    const { items } = await api.call(`GET /v1/deliveries?subscription=${subscription}`, {
      headers: operator,
    });
    return items.some(({ attemptCount }: { attemptCount: number }) => attemptCount > 0);
  }, "the mail was refused");
  await receiver.received(1);
  await until(
    () => receiver.requests.some(({ target }) => target.includes(CANARIES.slack)),
    "Slack was told",
  );

  // Secrets in the wrong places.
  const wrong = { authorization: `Bearer ${CANARIES.wrongToken}` };
  await api.call("POST /v1/events", { headers: wrong, body: { type: "t", data: 1 } });
  await api.call("GET /v1/deliveries", { headers: { authorization: CANARIES.wrongToken } });
  await api.call("GET /v1/subscriptions", { headers: publisher });
  await api.call("POST /v1/events", { headers: operator, body: "no JSON" });
  await api.walk(operator);
  await api.browse(CANARIES.operator);

  // Valid and invalid reloads.
  await api.call("POST /-/reload", { headers: operator });
  daemon.kill("SIGHUP");
  for (const text of spoilt(config)) {
    await write(text);
    await api.call("POST /-/reload", { headers: operator });
    await api.call("POST /-/reload?dryRun=true", { headers: operator });
    const around = { environment: { ...environment, BELLHOOK_TOKEN: CANARIES.operator } };
    const { exitCode, stdout, stderr } = await finish(
      ["-c", `${folder}/config.json`, "check"],
      around,
    );
    found.add("the output of check", stdout + stderr);
    assertEquals(exitCode, 2, text + stdout + stderr);
  }
  await write(JSON.stringify(config));

  // The CLI, which reads the token from its environment.
  const commands = ["status", "status works", "deliveries", "deliveries --state exhausted", "check"]
    .concat(["diff", "audit", "match booking.created", "reload", "test works", "schema"])
    .concat(["pause works", "resume works", "send booking.created --data {}", "doctor"]);
  for (const command of commands) {
    for (const json of [[], ["--json"]]) {
      const { stdout, stderr } = await finish(
        ["-c", `${folder}/config.json`, "--url", url, ...json, ...command.split(" ")],
        { environment: { ...environment, BELLHOOK_TOKEN: CANARIES.operator } },
      );
      found.add(`the output of ${command} ${json}`, stdout + stderr);
    }
  }
  found.add("ps", await argumentsOf(daemon.pid));

  // Killed, restarted, then with an internal fault.
  daemon.kill("SIGKILL");
  await daemon.status;
  await search(folder, found);
  const again = await serve(folder, { environment, url, found });
  await api.call("POST /v1/events", { headers: publisher, body: { type: "t", data: 1 } });
  for (const name of ["bellhook.db", "bellhook.db-wal"]) {
    await Deno.writeFile(`${folder}/${name}`, new Uint8Array(200_000).fill(0xaa));
  }
  await api.call("POST /v1/events", { headers: publisher, body: { type: "t", data: 2 } });
  await api.call("GET /v1/deliveries", { headers: operator });
  again.kill("SIGTERM");
  await again.status;
  await again.said;
  await daemon.said;

  // Check that everything has happened; otherwise the search proves nothing.
  for (
    const [part, where] of [
      ["X-Key: [redacted]", /^the answer to GET .v1.deliveries/],
      ["no such password: [redacted] ([redacted])", /^the answer to GET .v1.deliveries/],
      ["config rejected", /^the log/],
      ["delivery is exhausted", /^the log/],
      ["bellhook is ready", /^the log/],
      ["main.ts", /^ps/],
      ["booking.created", /^the file bellhook.db/],
      ["booking.created", /^the stream|^the answer to GET .dashboard/],
    ] as const
  ) assert(found.count(part, where) > 0, `"${part}" in ${where}`);
  assertEquals(found.of(CANARIES), []);
  assertEquals(
    found.of(URL_CANARIES, /^the log|^the output of (check|reload|diff|doctor)/),
    [],
  );
  for (const { head, body } of notices.requests) {
    found.add("a notice", `${head}${new TextDecoder().decode(body)}`);
  }
  assertEquals(found.of({ ...CANARIES, query: URL_CANARIES.query }, /^a notice/), []);
});

function aConfigWith(
  { port, receiver, notices, mail }: {
    port: number;
    receiver: string;
    notices: string;
    mail: number;
  },
) {
  const all = { events: ["*"], retry: ["10ms"], jitter: 0 };
  const headers = { "X-Key": { env: "HEADER" } };
  return {
    server: { listen: `127.0.0.1:${port}`, shutdownGrace: "1s" },
    auth: {
      publishers: [{ name: "app", token: { env: "PUBLISHER" } }],
      operators: [
        { name: "ops", token: { env: "OPERATOR" } },
        { name: "on-call", token: { credential: "on-call" } },
      ],
    },
    delivery: { allowHttp: true, allowNetworks: ["127.0.0.0/8"] },
    notify: [
      {
        webhook: {
          url: `${notices}hook?key=${URL_CANARIES.noticeQuery}`,
          secret: { file: "notice" },
        },
      },
      {
        email: {
          smtp: `smtp://ops@127.0.0.1:${mail}`,
          password: { env: "PASSWORD" },
          from: "bellhook@example.com",
          to: ["ops@example.com"],
        },
      },
      { slack: { url: { env: "SLACK" } } },
    ],
    subscriptions: [
      {
        ...all,
        id: "works",
        url: `${receiver}works?token=${URL_CANARIES.query}`,
        secret: { env: "SECRET" },
        previousSecret: { file: "previous", until: "2100-01-01T00:00:00Z" },
        headers,
      },
      {
        ...all,
        id: "fails",
        url: `${receiver}fails?token=${URL_CANARIES.query}`,
        secret: { env: "SECRET" },
        headers,
      },
      {
        ...all,
        id: "echoes",
        url: `${receiver}echoes`,
        secret: { env: "SECRET" },
        headers: { ...headers, Authorization: { env: "BASIC" }, "X-Token": { env: "BEARER" } },
      },
      {
        ...all,
        id: "is-not-there",
        url: `http://127.0.0.1:1/?token=${URL_CANARIES.query}`,
        secret: { env: "SECRET" },
        headers,
      },
      {
        id: "of-a-platform",
        url: `${receiver}works`,
        events: ["booking.created"],
        profile: "roostsync",
        secret: { env: "FREE_TEXT" },
      },
    ],
  };
}

/** What a receiver knows, in every spelling, and in every spelling of one. */
function echoed() {
  const { header, bearer, basic, secret } = CANARIES;
  const known = [header, bearer, `shop:${basic}`, basic, secret, secret.slice(6)];
  const ways = Object.values(SPELLINGS);
  const words = known.flatMap((text) =>
    ways.flatMap((spell, at) => [spell(text), ways[(at + 1) % ways.length]!(spell(text))])
  );
  const oneLine = words.filter((word) => /^[\x21-\x7e]{1,200}$/.test(word));
  const headers = oneLine.slice(0, 40).map((word): [string, string] => ["X-Echo", word]);
  // Those that are escaped twice are long, and an answer has its limit.
  const body = words.filter((word) => word.length < 700).join("\n\n");
  return { headers, body };
}

/** Configs with one fault each, in or near a secret. */
function spoilt(config: ReturnType<typeof aConfigWith>): string[] {
  const [first, ...rest] = config.subscriptions;
  const withFirst = (change: Record<string, unknown>) =>
    JSON.stringify({ ...config, subscriptions: [{ ...first, ...change }, ...rest] });
  const { query } = URL_CANARIES;
  return [
    withFirst({ secret: CANARIES.written }),
    withFirst({ secret: { env: CANARIES.written } }),
    withFirst({ url: `https://user:${CANARIES.userInfo}@receiver.example/?token=${query}` }),
    withFirst({ url: `http://[${query}/?token=${query}` }),
    withFirst({ url: `https://10.0.0.1/?token=${query}`, allowNetworks: [] }),
    withFirst({ headers: { "X-Key": { env: "NOT_SET" } } }),
    withFirst({ [CANARIES.written]: true }),
    withFirst({ profile: "nothing" }),
    JSON.stringify({ ...config, auth: { publishers: [{ name: "x", token: CANARIES.written }] } }),
    JSON.stringify({ ...config, notify: [{ webhook: { url: "x", secret: CANARIES.written } }] }),
    JSON.stringify({
      ...config,
      notify: [{
        email: {
          smtp: `smtp://ops:${CANARIES.userInfo}@mail.example`,
          from: "a@example.com",
          to: ["b@example.com"],
        },
      }],
    }),
    withFirst({ secret: CANARIES.written }).replace('"secret"', "secret:"),
    withFirst({ secret: CANARIES.written }).slice(0, -2),
    `{"auth": ${CANARIES.written}}`,
    CANARIES.written,
  ];
}

/** The API; records every answer for the search. */
class Api {
  readonly #url: string;
  readonly #found: Findings;

  constructor(url: string, found: Findings) {
    this.#url = url;
    this.#found = found;
  }

  async call(
    what: string,
    { headers = {}, body }: { headers?: object; body?: unknown } = {},
    // deno-lint-ignore no-explicit-any
  ): Promise<any> {
    const [method, path] = what.split(" ") as [string, string];
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: {
        ...headers,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((error) => new Response(String(error)));
    const text = await response.text();
    this.#found.add(`the answer to ${what}`, JSON.stringify([...response.headers]) + text);
    return text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text;
  }

  /** Makes every call of the OpenAPI document, for every item in the lists. */
  async walk(headers: object): Promise<void> {
    const { paths } = await this.call("GET /openapi.json");
    const ids = new Map<string, string[]>([["replays", []]]);
    for (const list of ["events", "deliveries", "subscriptions"]) {
      const { items } = await this.call(`GET /v1/${list}`, { headers });
      ids.set(list, items.map(({ id }: { id: string }) => id));
    }
    const replay = { since: "2020-01-01T00:00:00Z" };
    const { id } = await this.call("POST /v1/replays", { headers, body: replay });
    ids.set("replays", [id]);
    for (const [template, operations] of Object.entries<object>(paths)) {
      const list = template.split("/")[2] ?? "";
      const addresses = template.includes("{")
        ? ids.get(list)!.map((id) => template.replace(/\{\w+\}/, encodeURIComponent(id)))
        : [template];
      for (const method of Object.keys(operations).map((name) => name.toUpperCase())) {
        for (const path of addresses) {
          if (path === "/v1/stream") await this.#listen(headers);
          else if (path !== "/-/reload") await this.call(`${method} ${path}`, { headers });
        }
      }
    }
  }

  async #listen(headers: object): Promise<void> {
    const response = await fetch(`${this.#url}/v1/stream`, { headers: { ...headers } });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    await this.call("POST /v1/subscriptions/works/test", { headers });
    let text = "";
    while (!text.includes('"delivered"')) text += (await reader.read()).value ?? '"delivered"';
    this.#found.add("the stream", text);
    await reader.cancel();
  }

  /** Opens all dashboard pages, following the links from the first. */
  async browse(token: string): Promise<void> {
    const signIn = await this.call("GET /dashboard/sign-in");
    const csrf = /name="csrf" value="([^"]+)"/.exec(signIn)?.[1] ?? "";
    const signedIn = await fetch(`${this.#url}/dashboard/sign-in`, {
      method: "POST",
      redirect: "manual",
      body: new URLSearchParams({ csrf, token }),
    });
    await signedIn.body?.cancel();
    const cookie = signedIn.headers.get("set-cookie")?.split(";")[0] ?? "";
    this.#found.add("the cookie", cookie);
    const seen = new Set<string>();
    const ahead = ["/"];
    while (ahead.length > 0 && seen.size < 60) {
      const path = ahead.shift()!;
      if (seen.has(path)) continue;
      seen.add(path);
      const page = String(await this.call(`GET ${path}`, { headers: { cookie } }));
      const links = [...page.matchAll(/href="(\/[^"#]*)"/g)].map(([, link]) =>
        link!.replaceAll("&amp;", "&")
      );
      ahead.push(...links.filter((link) => !/live|stream/.test(link)));
    }
    assert(seen.size > 5, `the dashboard has more pages than ${[...seen]}`);
  }
}

/** Starts a real `serve`, and records its output for the search. */
async function serve(
  folder: string,
  { environment, url, found }: {
    environment: Record<string, string>;
    url: string;
    found: Findings;
  },
) {
  const permissions = ["net", "read", "write", "env", "sys", "run"].map((name) =>
    `--allow-${name}`
  );
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-check", ...permissions, "main.ts"]
      .concat(["-c", `${folder}/config.json`, "serve"]),
    env: environment,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const said = Promise.all([child.stdout, child.stderr].map(async (stream) => {
    found.add("the log", await new Response(stream).text());
  }));
  await until(async () => {
    const response = await fetch(`${url}/-/ready`).catch(() => undefined);
    await response?.body?.cancel();
    return response?.ok;
  }, "the daemon is ready");
  return { pid: child.pid, status: child.status, said, kill: child.kill.bind(child) };
}

/** What `ps` shows of a process. Read with cat, because Deno would need all permissions. */
async function argumentsOf(pid: number): Promise<Uint8Array> {
  return (await new Deno.Command("cat", { args: [`/proc/${pid}/cmdline`] }).output()).stdout;
}

/** Every file beside the ones that were put there. */
async function search(folder: string, found: Findings): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (["config.json", "previous", "notice", "on-call"].includes(name)) continue;
    found.add(`the file ${name}`, await Deno.readFile(`${folder}/${name}`));
  }
}
