import { assertEquals } from "@std/assert";
import { systemClock } from "../../src/runtime/clock.ts";
import { http1Transport } from "../../src/transport/http1_transport.ts";
import { freePort } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { isInstalled, KINDS, startRealServer } from "./real_servers.ts";

/** So many connections are idle; each is used again at another moment about the server's time-out. */
const CONNECTIONS = 60;
/** Servers look at their idle connections about this long after they were used last. */
const FROM_MS = 950, TO_MS = 1_100;
const LOADED_FOR_MS = 1_000;
const AT_ONCE = 10;

for (const [name, kind] of Object.entries(KINDS)) {
  const isHere = await isInstalled(kind);
  const without = isHere ? "" : ` (left out: there is no ${kind.program})`;

  Deno.test({
    name: `real servers: ${name} closes what is idle, and no attempt is lost or doubled${without}`,
    ignore: !isHere,
    async fn() {
      await using server = await startRealServer(kind, freePort());
      await using it = aTransport(server.url);
      const connections = Array.from({ length: CONNECTIONS }, (_, i) => i);
      await Promise.all(connections.map(async (i) => {
        await it.send(`first-${i}`, `pool-${i}`);
        await after(FROM_MS + i * (TO_MS - FROM_MS) / CONNECTIONS);
        await it.send(`second-${i}`, `pool-${i}`);
      }));
      await it.assertSound(server.arrivals);
    },
  });

  if (kind.reload === undefined) continue;
  Deno.test({
    name:
      `real servers: ${name} takes its config anew under load, and no attempt is lost or doubled${without}`,
    ignore: !isHere,
    async fn() {
      await using server = await startRealServer(kind, freePort());
      await using it = aTransport(server.url);
      const endsAtMs = performance.now() + LOADED_FOR_MS;
      const senders = Array.from({ length: AT_ONCE }, async (_, sender) => {
        for (let i = 0; performance.now() < endsAtMs; i++) {
          await it.send(`${sender}-${i}`, `pool-${sender}`);
          if (sender === 0 && i === 20) server.reload();
          // Idle now and then, so that the reload meets some at rest.
          if (i % 10 === sender) await after(50);
        }
      });
      await Promise.all(senders);
      await it.assertSound(server.arrivals);
    },
  });
}

/** Real servers keep real time. */
function after(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve));
}

/** A transport that keeps in mind what was sent and what came of it. */
function aTransport(url: string) {
  const transport = http1Transport({ clock: systemClock });
  const sent: string[] = [];
  const failures: string[] = [];
  return {
    async send(id: string, pool: string): Promise<void> {
      sent.push(id);
      const outcome = await transport.send({
        url,
        headers: [["X-Id", id], ["Content-Type", "application/json"]],
        body: new TextEncoder().encode(JSON.stringify({ id, filler: "x".repeat(500) })),
        deadlineMs: 20_000,
        allowNetworks: ["127.0.0.0/8"],
        pool,
      });
      const what = outcome.kind === "answered" ? outcome.status : outcome.error.message;
      if (what !== 200 && what !== 204) failures.push(`${id}: ${what}`);
    },
    /** What one server is told to log may come after its answer. */
    async assertSound(arrivals: () => Promise<ReadonlyMap<string, number>>): Promise<void> {
      assertEquals(failures, []);
      const arrived = await until(async () => {
        const found = await arrivals();
        return found.size >= sent.length && found;
      }, "all are logged");
      assertEquals([...arrived].filter(([, times]) => times !== 1), []);
      assertEquals(arrived.size, sent.length);
    },
    [Symbol.asyncDispose]: () => transport.close(),
  };
}
