import { assert, assertEquals } from "@std/assert";
import { createHmac } from "node:crypto";
import { bellhook as run, freePort, serve } from "../support/processes.ts";
import { startMailServer } from "../support/mail_server.ts";
import { type RawRequest, startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

const SECRET = "rs_secret_of_guest_app";

Deno.test("story: a bad day, from the first notice to a clean audit, using only the CLI", async () => {
  const folder = await Deno.makeTempDir();
  let status = 401;
  await using receiver = startRawServer(() => ({ status, body: "bad signature" }));
  await using operator = startRawServer();
  await using mail = await startMailServer();
  const port = freePort();
  await writeConfig(folder, {
    port,
    receiver: receiver.url,
    operator: operator.url,
    mail: mail.port,
  });
  const bellhook = (...args: string[]) => run(folder, ...args);
  const daemon = await serve(folder, port);
  try {
    // The receiver has lost its secret and refuses everything.
    for (const id of ["bk_1", "bk_2", "bk_3"]) {
      const data = JSON.stringify({ booking_id: id });
      const sent = await bellhook(
        "send",
        "booking.created",
        "--data",
        data,
        "--scope",
        "property_id=p1",
      );
      assertEquals(sent.code, 0, sent.stderr);
    }
    await until(
      () => kinds(operator.requests).includes("subscription.failing"),
      "the webhook notice",
    );
    await until(() => mail.mails.length > 0, "the mail");
    assert(mail.mails.some(({ text }) => text.includes("bellhook status guest-app")));

    const shown = await bellhook("status", "guest-app");
    assert(shown.stdout.includes("failing"), shown.stdout);
    assert(shown.stdout.includes("rejected the signature or a token"), shown.stdout);
    assertEquals((await bellhook("status", "--check")).code, 1);
    await until(async () => {
      const { stdout } = await bellhook("deliveries", "--state", "exhausted", "--json");
      return stdout.trim().split("\n").length === 3;
    }, "three exhausted deliveries");

    // Is it our fault? Who gets the event, and is the signature correct?
    const match = await bellhook("match", "booking.created", "--scope", "property_id=p9");
    assert(/guest-app\tno\t.*scope/s.test(match.stdout), match.stdout);
    const refused = `${folder}/refused.http`;
    await Deno.writeTextFile(refused, asText(receiver.requests[0]!));
    const ours = await bellhook("verify", "--subscription", "guest-app", "--request", refused);
    assertEquals([ours.code, ours.stdout.includes("good")], [0, true], ours.stdout + ours.stderr);
    await Deno.writeTextFile(refused, asText(signedOverPrettyPrint(receiver.requests[0]!)));
    const theirs = await bellhook("verify", "--subscription", "guest-app", "--request", refused);
    assertEquals(theirs.code, 1);
    assert(/2 spaces/.test(theirs.stdout + theirs.stderr), theirs.stdout + theirs.stderr);

    // The receiver works again: everything that failed is sent again.
    status = 200;
    const filter = ["--since", "1h", "--state", "exhausted"];
    const dry = await bellhook("replay", ...filter, "--dry-run", "--json");
    assertEquals(JSON.parse(dry.stdout), { count: 3 });
    assertEquals((await bellhook("replay", ...filter)).code, 2, "many need --yes in a pipe");
    const replay = await bellhook("replay", ...filter, "--yes");
    assertEquals(replay.code, 0, replay.stderr);
    await until(() => kinds(operator.requests).includes("subscription.recovered"), "the recovery");
    await until(async () => {
      const { stdout } = await bellhook(
        "deliveries",
        "--state",
        "delivered",
        "--subscription",
        "guest-app",
        "--json",
      );
      return stdout.trim().split("\n").filter(Boolean).length === 3;
    }, "three delivered ones");
    assertEquals((await bellhook("status", "--check")).code, 0);
    assertEquals(
      JSON.parse((await bellhook("replay", ...filter, "--dry-run", "--json")).stdout).count,
      0,
    );
    const audit = await bellhook("audit");
    assertEquals(audit.code, 0, audit.stdout);
    const bodies = new Set(receiver.requests.map((request) => request.text()));
    assertEquals(bodies.size, 3);
  } finally {
    daemon.kill("SIGTERM");
    assertEquals((await daemon.status).code, 0);
    await Deno.remove(folder, { recursive: true });
  }
});

function kinds(requests: readonly RawRequest[]): string[] {
  return requests.map((request) => JSON.parse(request.text()).type);
}

async function writeConfig(
  folder: string,
  { port, receiver, operator, mail }: {
    port: number;
    receiver: string;
    operator: string;
    mail: number;
  },
): Promise<void> {
  await Deno.writeTextFile(`${folder}/secret`, SECRET);
  await Deno.writeTextFile(`${folder}/notice-secret`, `whsec_${btoa("n".repeat(32))}`);
  const local = { allowHttp: true, allowNetworks: ["127.0.0.0/8"] };
  await Deno.writeTextFile(
    `${folder}/config.json`,
    JSON.stringify({
      server: { listen: `127.0.0.1:${port}` },
      delivery: { ...local, retry: ["1s"], jitter: 0 },
      notify: [
        { webhook: { url: operator, secret: { file: "notice-secret" } } },
        {
          email: {
            smtp: `smtp://127.0.0.1:${mail}`,
            from: "bellhook@example.com",
            to: ["ops@example.com"],
          },
          on: ["subscription.failing", "subscription.recovered"],
        },
      ],
      subscriptions: [{
        id: "guest-app",
        url: receiver,
        events: ["booking.*"],
        profile: "roostsync",
        secret: { file: "secret" },
        scope: { property_id: "p1" },
      }],
    }),
  );
}

function asText({ head, text }: { head: string; text(): string }): string {
  return `${head.trimEnd()}\r\n\r\n${text()}`;
}

/** The request as signed by someone who pretty-prints the body first. */
function signedOverPrettyPrint(request: RawRequest): { head: string; text(): string } {
  const pretty = JSON.stringify(JSON.parse(request.text()), null, 2);
  const signature = createHmac("sha256", SECRET).update(pretty).digest("hex");
  const head = request.head.replace(/sha256=[0-9a-f]+/, `sha256=${signature}`);
  return { head, text: () => request.text() };
}
