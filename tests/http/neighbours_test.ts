import { assert, assertEquals } from "@std/assert";
import type { DataCondition } from "../../src/domain/subscription.ts";
import { compilePattern } from "../../src/domain/pattern.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, type Answer, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { cpuMs } from "../support/cpu_time.ts";

/**
 * Legal requests that once held the loop for seconds or minutes each. `deno task bench neighbours` shows
 * the milliseconds that are promised; here a machine that is slow is allowed for.
 */
const LONGEST_HELD_MS = 1_000;

/** All subscriptions are held, so that nothing is sent. */
const many = (count: number, id: string, events: string, match: readonly DataCondition[] = []) =>
  Array.from({ length: count }, (_, i) =>
    aSubscription({
      id: `${id}-${i}`,
      events: [compilePattern(events)],
      match,
      enabled: false,
    }));

const status: DataCondition = {
  path: "items.status",
  anyOf: [{ kind: "equals", value: '"CONFIRMED"' }],
};

const config = aConfig({
  subscriptions: [
    ...many(1_300, "match", "booking", [status]),
    ...many(5, "five", "five"),
    ...many(2_000, "thousands", "thousands"),
  ],
});

const list = (count: number, event: (index: number) => unknown) =>
  Array.from({ length: count }, (_, index) => event(index));

const items = list(6_000, (i) => ({ sku: `s${i}`, status: "OPEN" }));

interface Request {
  readonly path?: string;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
  readonly answer: (answer: Answer) => void;
}

const statusIs = (status: number) => (answer: Answer) => assertEquals(answer.status, status);

const REQUESTS: Record<string, Request> = {
  "an event of 180 KB that 1 300 conditions look into": {
    body: { type: "booking", data: { items } },
    answer: statusIs(202),
  },
  "a question who would get it": {
    path: "/v1/match",
    body: { type: "booking", data: { items }, scope: { a: "x".repeat(60_000) } },
    answer: ({ status, body }) => {
      assertEquals([status, body.matches.length, body.others.length], [200, 0, 3_305]);
    },
  },
  "a thousand events for five subscriptions": {
    body: list(1_000, () => ({ type: "five", data: 1 })),
    answer: ({ status, body }) => {
      assertEquals([status, body.length, body[999].deliveries.length], [202, 1_000, 5]);
    },
  },
  "a thousand events for two thousand subscriptions": {
    body: list(1_000, () => ({ type: "thousands", data: 1 })),
    answer: ({ status, body: { detail } }) => {
      assertEquals(status, 413);
      assert(detail.includes("2000000 deliveries") && detail.includes("5000"), detail);
      assert(detail.includes("400 or more requests"), detail);
    },
  },
  "a thousand repeats of one event for two thousand subscriptions": {
    body: list(1_000, () => ({ id: "same", type: "thousands", data: 1 })),
    answer: statusIs(413),
  },
  "one event for two thousand subscriptions": {
    body: { type: "thousands", data: 1 },
    answer: ({ status, body }) => assertEquals([status, body.deliveries.length], [202, 2_000]),
  },
  "a thousand CloudEvents": {
    body: list(1_000, (i) => ({ specversion: "1.0", id: `c${i}`, source: "s", type: "t", x: 1 })),
    headers: { "content-type": "application/cloudevents-batch+json" },
    answer: statusIs(202),
  },
};

Deno.test("no valid request blocks the event loop for long, and too large ones aren't stored", async (test) => {
  await using daemon = await aDaemon(config);
  for (const [name, request] of Object.entries(REQUESTS)) {
    await test.step(name, async () => {
      const loop = watchLoop();
      const answer = await send(daemon, request);
      const heldMs = loop.stop();
      request.answer(answer);
      assert(heldMs < LONGEST_HELD_MS, `the loop was held for ${heldMs} ms`);
    });
  }
  // A refused request stored nothing.
  const { body } = await daemon.call("GET", "/v1/events?type=thousands");
  assertEquals(body.items.length, 1);
});

Deno.test("twenty large requests at once block the event loop no longer than one", async () => {
  await using daemon = await aDaemon(config);
  const loop = watchLoop();
  const answers = await Promise.all(list(20, () =>
    send(daemon, {
      body: list(200, () => ({ type: "thousands", data: 1 })),
      answer: statusIs(413),
    })) as Promise<Answer>[]);
  const heldMs = loop.stop();
  assertEquals(new Set(answers.map(({ status }) => status)), new Set([413]));
  assert(heldMs < LONGEST_HELD_MS, `the loop was held for ${heldMs} ms`);
});

function send(daemon: TestDaemon, { path = "/v1/events", body, headers }: Request) {
  return daemon.call("POST", path, body, headers);
}

/** Looks at the loop every millisecond; the answer of `stop` is the longest that one turn held it. */
function watchLoop(): { stop(): number } {
  let longestMs = 0;
  let lastMs = cpuMs();
  const look = () => {
    const nowMs = cpuMs();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
  };
  const timer = setInterval(look, 1);
  return {
    stop() {
      clearInterval(timer);
      look();
      return longestMs;
    },
  };
}

Deno.test("events are delivered while arrays are posted as fast as they are answered", async () => {
  let arrived = 0;
  await using receiver = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => {
      arrived++;
      return new Response();
    },
  );
  const types = list(10, (i) => `type.${i}`) as string[];
  await using daemon = await aDaemon(aConfig({
    subscriptions: types.map((type) =>
      aSubscription({
        id: type,
        events: [compilePattern(type)],
        url: `http://127.0.0.1:${receiver.addr.port}/`,
        allowHttp: true,
        allowNetworks: ["127.0.0.0/8"],
      })
    ),
  }));
  const body = JSON.stringify(list(1_000, (i) => ({ type: types[i % 10], data: i })));
  let accepted = 0;
  await Promise.all(list(4, async () => {
    while (accepted < 12_000) {
      const { status } = await daemon.call("POST", "/v1/events", body);
      assertEquals(status, 202);
      accepted += 1_000;
    }
  }));
  // Receivers and publishers share the test's event loop; without them the share is twice as large.
  assert(arrived / accepted > 0.12, `${arrived} of ${accepted} events were delivered meanwhile`);
});
