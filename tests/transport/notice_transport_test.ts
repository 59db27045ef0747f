import { assert, assertEquals } from "@std/assert";
import type { Outcome } from "../../src/domain/attempt.ts";
import type { NoticeChannel } from "../../src/domain/notice.ts";
import { Secret } from "../../src/domain/secret.ts";
import { type Clock, systemClock } from "../../src/runtime/clock.ts";
import { noticeTransport } from "../../src/transport/notice_transport.ts";
import type { OutgoingRequest, Transport } from "../../src/transport/transport.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startMailServer } from "../support/mail_server.ts";
import { until } from "../support/until.ts";
import { makeCertificates } from "./certificates.ts";

const BODY = JSON.stringify({
  type: "subscription.failing",
  timestamp: "2024-03-15T10:30:00Z",
  data: {
    kind: "subscription.failing",
    summary: "guest-app is failing:\r\nBcc: victim@example.com",
    subscription: "guest-app",
    lastAnswer: { status: 500, body: "broken\n.\nQUIT" },
    command: "bellhook status guest-app",
  },
});

const http: Transport = {
  send: () => Promise.reject(new Error("no notice of these tests goes over HTTP")),
  close: () => Promise.resolve(),
};

function send(
  channel: NoticeChannel,
  options: { clock?: Clock; ca?: string[]; body?: string } = {},
): Promise<Outcome> {
  const transport = noticeTransport({
    http,
    clock: options.clock ?? systemClock,
    environment: Deno.env,
    channel: () => channel,
    ...(options.ca ? { ca: options.ca } : {}),
  });
  return transport.send({
    url: "mailto:",
    headers: [],
    body: new TextEncoder().encode(options.body ?? BODY),
    deadlineMs: 30_000,
    allowNetworks: [],
    pool: "notify:",
  });
}

function mailTo(smtp: string, password?: string): NoticeChannel {
  return {
    kind: "email",
    on: ["subscription.failing"],
    smtp,
    ...(password === undefined ? {} : { password: new Secret(password) }),
    from: "bellhook@example.com",
    to: ["ops@example.com", "boss@example.com"],
  };
}

function runs(...command: string[]): NoticeChannel {
  return { kind: "command", on: ["subscription.failing"], command };
}

function failureOf(outcome: Outcome) {
  assert(outcome.kind === "failed", JSON.stringify(outcome));
  return outcome.error;
}

Deno.test("mail: says what failed and the command that helps, to everyone named", async () => {
  await using server = await startMailServer();
  const outcome = await send(mailTo(`smtp://127.0.0.1:${server.port}`));
  assertEquals(outcome.kind, "answered");
  const [mail] = server.mails;
  assertEquals(mail!.from, "bellhook@example.com");
  assertEquals(mail!.to, ["ops@example.com", "boss@example.com"]);
  assert(mail!.text.includes("try: bellhook status guest-app"));
  assert(mail!.text.includes("status: 500"));
});

Deno.test("mail: what a receiver wrote adds neither headers nor recipients", async () => {
  await using server = await startMailServer();
  await send(mailTo(`smtp://127.0.0.1:${server.port}`));
  const [mail] = server.mails;
  const head = mail!.text.split("\r\n\r\n")[0]!;
  assert(!/^bcc:/im.test(head), head);
  assertEquals(mail!.to.length, 2);
});

Deno.test("mail: STARTTLS is used where it is offered, and before any password", async () => {
  const { ca, valid } = await makeCertificates();
  await using server = await startMailServer({ ...valid, password: "pw" });
  const outcome = await send(mailTo(`smtp://ops@127.0.0.1:${server.port}`, "pw"), { ca: [ca] });
  assertEquals(outcome.kind, "answered", JSON.stringify(outcome));
  assertEquals([server.mails[0]!.secure, server.mails[0]!.user], [true, "ops"]);
});

Deno.test("mail: without STARTTLS no password leaves, but on loopback", async () => {
  const passwords: (string | undefined)[] = [];
  await using server = await startMailServer({
    password: "pw",
    onAuth(auth, _session, callback) {
      passwords.push(auth.password ?? undefined);
      callback(null, { user: "ops" });
    },
    allowInsecureAuth: true,
  });
  // It is this machine too, but no address of loopback.
  const { message } = failureOf(await send(mailTo(`smtp://ops@0.0.0.0:${server.port}`, "pw")));
  assert(/TLS/.test(message), message);
  assertEquals(passwords, []);
  const outcome = await send(mailTo(`smtp://ops@127.0.0.1:${server.port}`, "pw"));
  assertEquals([outcome.kind, passwords], ["answered", ["pw"]]);
});

Deno.test("mail: smtps speaks TLS from the start", async () => {
  const { ca, valid } = await makeCertificates();
  await using server = await startMailServer({ ...valid, secure: true, password: "pw" });
  const outcome = await send(mailTo(`smtps://ops@127.0.0.1:${server.port}`, "pw"), { ca: [ca] });
  assertEquals(outcome.kind, "answered", JSON.stringify(outcome));
  assertEquals(server.mails[0]!.secure, true);
});

Deno.test("mail: a certificate that nobody vouches for is refused", async () => {
  const { valid } = await makeCertificates();
  await using server = await startMailServer({ ...valid, secure: true });
  const error = failureOf(await send(mailTo(`smtps://127.0.0.1:${server.port}`)));
  assert(/certificate|issuer/i.test(error.message), error.message);
  assertEquals(server.mails.length, 0);
});

Deno.test("mail: a server is reached by its name, and known by it", async () => {
  const { ca, valid } = await makeCertificates();
  await using plain = await startMailServer();
  const taken = await send(mailTo(`smtp://localhost:${plain.port}`));
  assertEquals(taken.kind, "answered", JSON.stringify(taken));
  // Its certificate is for 127.0.0.1 and another name.
  await using secure = await startMailServer({ ...valid, secure: true });
  const error = failureOf(await send(mailTo(`smtps://localhost:${secure.port}`), { ca: [ca] }));
  assert(/certificate|name/i.test(error.message), error.message);
  assertEquals(secure.mails.length, 0);
});

Deno.test("mail: a wrong password and a refusal are failures that name the server", async () => {
  const { ca, valid } = await makeCertificates();
  await using server = await startMailServer({ ...valid, password: "pw" });
  const url = `smtp://ops@127.0.0.1:${server.port}`;
  const wrong = failureOf(await send(mailTo(url, "guess"), { ca: [ca] }));
  assertEquals(wrong.kind, "protocol");
  assert(wrong.message.startsWith("127.0.0.1: ") && !wrong.message.includes("guess"));
  server.refuses = true;
  const refused = failureOf(await send(mailTo(url, "pw"), { ca: [ca] }));
  assert(refused.message.includes("mailbox full"), refused.message);
});

Deno.test("mail: the names below localhost are this machine, whatever a name server says", async () => {
  await using server = await startMailServer();
  const outcome = await send(mailTo(`smtp://mail.localhost:${server.port}`));
  assertEquals(outcome.kind, "answered", JSON.stringify(outcome));
  assertEquals(server.mails.length, 1);
});

Deno.test("mail: no server there is a failed connection", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  assertEquals(failureOf(await send(mailTo(`smtp://127.0.0.1:${port}`))).kind, "connect");
});

Deno.test("mail: a server that never gets to the point is left at the deadline, and when the daemon stops", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const clock = new FakeClock();
  const transport = noticeTransport({
    http,
    clock,
    environment: Deno.env,
    channel: () => mailTo(`smtp://127.0.0.1:${listener.addr.port}`),
  });
  const ends = [() => clock.advance(30_000), () => void transport.close()];
  for (const end of ends) {
    const sending = transport.send({
      url: "mailto:",
      headers: [],
      body: new TextEncoder().encode(BODY),
      deadlineMs: 30_000,
      allowNetworks: [],
      pool: "notify:",
    });
    using connection = await listener.accept();
    // A greeting that goes on, and on.
    await connection.write(new TextEncoder().encode("220-one moment\r\n"));
    end();
    assertEquals(failureOf(await sending).kind, "timeout");
    let isLeft = false;
    connection.read(new Uint8Array(100)).then(() => isLeft = true, () => isLeft = true);
    await until(() => isLeft, "the connection is closed");
  }
});

Deno.test("command: gets the notice as JSON on its standard input", async () => {
  const file = await Deno.makeTempFile();
  const outcome = await send(runs("sh", "-c", 'cat > "$0"', file));
  assertEquals(outcome.kind, "answered");
  assertEquals(await Deno.readTextFile(file), BODY);
  await Deno.remove(file);
});

Deno.test("command: its arguments are no shell's to read", async () => {
  const outcome = await send(runs("printf", "%s", "$(touch /tmp/never); `id`"));
  assertEquals(outcome.kind, "answered");
});

Deno.test("command: an exit code that is not 0 is a failure with what it said", async () => {
  const error = failureOf(await send(runs("sh", "-c", "echo no pager >&2; exit 3")));
  assertEquals(error, { kind: "protocol", message: "sh exited with 3: no pager" });
  assertEquals(failureOf(await send(runs("/no/such/program"))).kind, "connect");
});

Deno.test("command: is killed at its deadline", async () => {
  const clock = new FakeClock();
  const outcome = send(runs("sleep", "600"), { clock });
  let done = false;
  outcome.finally(() => done = true);
  await until(() => {
    clock.advance(30_000);
    return done;
  });
  assertEquals(failureOf(await outcome).kind, "timeout");
});

Deno.test("command: is killed where the daemon stops", async () => {
  const file = await Deno.makeTempFile();
  const transport = noticeTransport({
    http,
    clock: new FakeClock(),
    environment: Deno.env,
    channel: () => runs("sh", "-c", 'echo runs > "$0"; exec sleep 600', file),
  });
  const request = {
    url: "",
    headers: [],
    body: new Uint8Array(),
    deadlineMs: 30_000,
    allowNetworks: [],
    pool: "notify:",
  };
  const sending = transport.send(request);
  await until(async () => await Deno.readTextFile(file) !== "", "the command runs");
  await transport.close();
  assertEquals(failureOf(await sending).message, "sh was ended by SIGKILL");
  const { message } = failureOf(await transport.send(request));
  assertEquals(message, "sh was not run: the daemon is stopping");
  await Deno.remove(file);
});

Deno.test("command: what it leaves running is not waited for", async () => {
  const file = await Deno.makeTempFile();
  const leaves = (exit: string) =>
    send(runs("sh", "-c", `sleep 600 & echo $! > "$0"; ${exit}`, file));
  const endWhatIsLeft = async () => Deno.kill(Number(await Deno.readTextFile(file)), "SIGKILL");
  assertEquals((await leaves("exit 0")).kind, "answered");
  await endWhatIsLeft();
  const { message } = failureOf(await leaves("echo no pager >&2; exit 3"));
  assertEquals(message, "sh exited with 3: no pager");
  await endWhatIsLeft();
  // One that holds what was not read of a body larger than a pipe.
  const held = await send(
    runs("sh", "-c", `exec 3<&0; sleep 600 <&3 & echo $! > "$0"; exit 0`, file),
    { body: "x".repeat(1_000_000) },
  );
  assertEquals(held.kind, "answered");
  await endWhatIsLeft();
  await Deno.remove(file);
});

Deno.test("command: sees nothing of the daemon's secrets", async () => {
  Deno.env.set("BELLHOOK_TEST_SECRET", "canary");
  const file = await Deno.makeTempFile();
  await send(runs("sh", "-c", 'env > "$0"', file));
  assert(!(await Deno.readTextFile(file)).includes("canary"));
  Deno.env.delete("BELLHOOK_TEST_SECRET");
  await Deno.remove(file);
});

Deno.test("command: hundreds that leave a reader of their input behind take no descriptor", async () => {
  const file = await Deno.makeTempFile();
  // Each notice is larger than a pipe holds, so that some of it is never read.
  const body = "x".repeat(300_000);
  const command = runs("sh", "-c", `exec 3<&0; sleep 600 <&3 & echo $! >> "$0"; exit 0`, file);
  const pipes = async () =>
    (await descriptorsOf(Deno.pid)).filter((name) => name.startsWith("pipe:")).length;
  const before = await pipes();
  for (let round = 0; round < 10; round++) {
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => send(command, { body })));
    for (const { kind } of outcomes) assertEquals(kind, "answered");
  }
  const after = await pipes();
  for (const pid of (await Deno.readTextFile(file)).trim().split("\n")) {
    Deno.kill(Number(pid), "SIGKILL");
  }
  await Deno.remove(file);
  assert(after - before < 10, `${before} pipes before 100 commands, ${after} after`);
});

/** What each descriptor of a process is; by another program, for Deno asks for all permissions there. */
async function descriptorsOf(pid: number): Promise<string[]> {
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", 'for one in /proc/"$0"/fd/*; do readlink "$one"; done', String(pid)],
  }).output();
  return new TextDecoder().decode(stdout).trim().split("\n");
}

const SLACK_URL = "https://hooks.slack.example/services/T024BE7LH/B024BE7LH/kh5VxJ8eNkLmPqRs";

Deno.test("Slack: gets the notice as plain text, in which strangers mention nobody", async () => {
  const sent: OutgoingRequest[] = [];
  const body = JSON.stringify({
    type: "subscription.failing",
    timestamp: "2024-03-15T10:30:00Z",
    data: {
      kind: "subscription.failing",
      summary: "<!channel> *guests* is failing:\n<https://evil.example|log in>",
      subscription: "a & b > c",
      lastAnswer: { status: 500, body: "x".repeat(9_000) },
      command: "bellhook status guest-app",
    },
  });
  const outcome = await toSlack(body, (request) => {
    sent.push(request);
    return { kind: "answered", status: 200, headers: [], body: encode("ok"), truncated: false };
  });
  assertEquals(outcome.kind, "answered");
  assertEquals(sent[0]!.url, SLACK_URL);
  const message = JSON.parse(new TextDecoder().decode(sent[0]!.body));
  assertEquals(message.text.split("\n").slice(0, 2), [
    "&lt;!channel&gt; *guests* is failing: &lt;https://evil.example|log in&gt;",
    "subscription: a &amp; b &gt; c",
  ]);
  assert(message.text.length < 4_000);
  assertEquals([message.mrkdwn, message.link_names, message.unfurl_links], [false, false, false]);
});

Deno.test("Slack: no answer and no error shows its URL, or the key in it", async () => {
  const [, key] = /([^/]+)$/.exec(SLACK_URL)!;
  const answered = await toSlack(BODY, () => ({
    kind: "answered",
    status: 404,
    headers: [["Location", SLACK_URL]],
    body: encode(`no such hook: ${key}`),
    truncated: false,
  }));
  const failed = await toSlack(BODY, () => ({
    kind: "failed",
    error: { kind: "protocol", message: `${SLACK_URL} is odd` },
  }));
  for (const outcome of [answered, failed]) {
    const body = outcome.kind === "answered" ? new TextDecoder().decode(outcome.body) : "";
    assert(!`${JSON.stringify(outcome)}${body}`.includes(key!));
  }
});

function toSlack(body: string, answer: (request: OutgoingRequest) => Outcome): Promise<Outcome> {
  const transport = noticeTransport({
    http: { ...http, send: (request) => Promise.resolve(answer(request)) },
    clock: systemClock,
    environment: Deno.env,
    channel: () => ({ kind: "slack", url: new Secret(SLACK_URL) }),
  });
  return transport.send({
    url: "slack:hooks.slack.example",
    headers: [["Content-Type", "application/json"]],
    body: encode(body),
    deadlineMs: 30_000,
    allowNetworks: [],
    pool: "notify:",
  });
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
