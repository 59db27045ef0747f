import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Secret } from "../../src/domain/secret.ts";
import { Refusals } from "../../src/http/refusals.ts";
import { type Log, silentLog } from "../../src/runtime/log.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";

const OPERATOR = "an-operator-s-token", PUBLISHER = "a-publisher-s-token";
const AUTH = {
  publishers: [{ name: "app", token: new Secret(PUBLISHER) }],
  operators: [{ name: "ada", token: new Secret(OPERATOR) }],
};

interface Line {
  readonly address?: string;
  readonly count: number;
  readonly reasons?: string;
  readonly addresses?: number;
}

/** A log that records the lines about refusals. */
function aLog(): { log: Log; lines: Line[] } {
  const lines: Line[] = [];
  const log: Log = Object.assign(Object.create(silentLog), {
    accessRefused: (line: Line) => lines.push(line),
    accessRefusedToMore: (line: Line) => lines.push(line),
  });
  return { log, lines };
}

/** A daemon behind a proxy that forwards client addresses, and its calls by address and token. */
async function aGuardedDaemon() {
  const clock = new FakeClock(), { log, lines } = aLog();
  const config = aConfig({ auth: AUTH });
  const server = { ...config.server, trustProxy: ["127.0.0.1"] };
  const daemon = await aDaemon({ ...config, server }, { clock, log });
  const ask = (address: string, token: string | undefined, path = "/v1/events") =>
    daemon.call("GET", path, undefined, {
      "x-forwarded-for": address,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    });
  return { daemon, clock, lines, ask };
}

Deno.test("refused token: is counted by reason, and logged once a minute with the count", async () => {
  const { daemon, clock, lines, ask } = await aGuardedDaemon();
  await using _ = daemon;
  for (const token of ["wrong", "wrong", undefined]) await ask("203.0.113.9", token);
  const post = { type: "t", data: 1 };
  await daemon.call("POST", "/v1/events", post, {
    authorization: "Bearer wrong",
    "x-forwarded-for": "203.0.113.9",
  });
  assertEquals((await ask("198.51.100.7", "wrong", "/metrics")).status, 401);
  assertEquals(lines, [
    { address: "203.0.113.9", count: 1, reasons: "1 unknown_token" },
    { address: "198.51.100.7", count: 1, reasons: "1 unknown_token" },
  ]);
  clock.advance(59_000);
  assertEquals(lines.length, 2);
  clock.advance(1_000);
  await until(() => lines.length === 3, "the minute's line");
  assertEquals(lines[2], {
    address: "203.0.113.9",
    count: 3,
    reasons: "2 unknown_token, 1 no_token",
  });
  clock.advance(600_000);
  assertEquals(lines.length, 3);
  const { body } = await ask("192.0.2.1", OPERATOR, "/metrics");
  assertStringIncludes(body, 'bellhook_access_refused_total{reason="unknown_token"} 4\n');
  assertStringIncludes(body, 'bellhook_access_refused_total{reason="no_token"} 1\n');
  assertStringIncludes(body, 'bellhook_access_refused_total{reason="sign_in"} 0\n');
});

Deno.test("refused token: after several in a row, answers are delayed; correct tokens are never delayed", async () => {
  const { daemon, clock, ask } = await aGuardedDaemon();
  await using _ = daemon;
  for (let count = 0; count < 10; count++) {
    assertEquals((await ask("203.0.113.9", "wrong")).status, 401);
  }
  let answered = 0;
  const slowed = ask("203.0.113.9", "wrong").then(({ status }) => {
    answered++;
    return status;
  });
  // From the same address and from others, while answers are delayed.
  assertEquals((await ask("203.0.113.9", OPERATOR)).status, 200);
  assertEquals((await ask("203.0.113.9", PUBLISHER)).status, 403);
  assertEquals((await ask("203.0.113.10", "wrong")).status, 401);
  clock.advance(249);
  assertEquals((await ask("203.0.113.9", OPERATOR)).status, 200);
  assertEquals(answered, 0);
  clock.advance(1);
  assertEquals(await slowed, 401);
  // After some time the count starts again.
  clock.advance(600_001);
  assertEquals((await ask("203.0.113.9", "wrong")).status, 401);
});

Deno.test("refused token: only a few answers of an address are delayed, the others are 429 at once", async () => {
  const { daemon, clock, ask } = await aGuardedDaemon();
  await using _ = daemon;
  for (let count = 0; count < 10; count++) await ask("203.0.113.9", "wrong");
  const answers: { status: number; retryAfter: string | null }[] = [];
  const many = Array.from({ length: 30 }, async () => {
    const { status, headers } = await ask("203.0.113.9", "wrong");
    answers.push({ status, retryAfter: headers.get("retry-after") });
  });
  await until(() => answers.length === 22, "those that can't wait are answered");
  assert(answers.every(({ status, retryAfter }) => status === 429 && Number(retryAfter) >= 1));
  assertEquals((await ask("203.0.113.9", OPERATOR)).status, 200);
  clock.advance(4_000);
  await Promise.all(many);
  assertEquals(answers.slice(22).map(({ status }) => status), Array(8).fill(401));
});

Deno.test("refused token: a stopping daemon doesn't wait for delayed answers", async () => {
  const { daemon, ask } = await aGuardedDaemon();
  for (let count = 0; count < 10; count++) await ask("203.0.113.9", "wrong");
  const slowed = ask("203.0.113.9", "wrong").catch(() => undefined);
  await ask("203.0.113.9", OPERATOR);
  await daemon.stop();
  await slowed;
});

/** A `Refusals` with a fake clock, and a function that ends its waits. */
function someRefusals() {
  const clock = new FakeClock(), { log, lines } = aLog(), ends = new Set<() => void>();
  const refusals = new Refusals({
    clock,
    log,
    onAccessRefused: () => {},
    onShutdown: (end) => {
      ends.add(end);
      return () => ends.delete(end);
    },
  });
  return { clock, lines, ends, refusals };
}

Deno.test("Refusals: all addresses of a /64 count as one", async () => {
  const { refusals, lines } = someRefusals();
  for (let count = 0; count < 10; count++) {
    await refusals.note({ address: `2001:db8::${count}`, reason: "no_token" });
  }
  assertEquals(lines.length, 1);
  let waited = false;
  void refusals.note({ address: "2001:db8::ffff", reason: "no_token" }).then(() => waited = true);
  assertEquals(await refusals.note({ address: "2001:db8:0:1::1", reason: "no_token" }), undefined);
  assertEquals([waited, lines.length], [false, 2]);
});

Deno.test("Refusals: limits the delayed answers of all addresses together", async () => {
  const { refusals, clock } = someRefusals();
  const slowed: Promise<number | undefined>[] = [];
  for (let host = 0; host < 20; host++) {
    for (let count = 0; count < 15; count++) {
      slowed.push(refusals.note({ address: `192.0.2.${host}`, reason: "sign_in" }));
    }
  }
  clock.advance(4_000);
  const answers = await Promise.all(slowed);
  // Ten of each are not delayed, 64 were delayed, the rest must try again later.
  assertEquals(answers.filter((seconds) => seconds === undefined).length, 200 + 64);
  assertEquals(Math.max(...answers.filter((seconds) => seconds !== undefined)), 4);
});

Deno.test("Refusals: memory, log lines and waits are bounded for 100 000 addresses", async () => {
  const { refusals, clock, lines, ends } = someRefusals();
  for (let host = 0; host < 100_000; host++) {
    const address = `10.${host >> 16}.${host >> 8 & 255}.${host & 255}`;
    await refusals.note({ address, reason: "unknown_token" });
  }
  assertEquals([lines.length, refusals.size], [60, 1_000]);
  assertEquals(ends.size, 1);
  clock.advance(60_000);
  await until(() => lines.length > 60, "the rest is told of");
  const told = lines.reduce((sum, { count }) => sum + count, 0);
  assertEquals([told, lines.length, lines.at(-1)?.addresses], [100_000, 61, 99_940]);
});

Deno.test("Refusals: logs the remaining refusals when the daemon stops", async () => {
  const { refusals, lines, ends } = someRefusals();
  for (let count = 0; count < 3; count++) {
    await refusals.note({ address: "192.0.2.1", reason: "no_token" });
  }
  for (const end of [...ends]) end();
  await until(() => lines.length === 2, "the rest is told of");
  assertEquals(lines[1], { count: 2, addresses: 1 });
  assertEquals(ends.size, 0);
});
