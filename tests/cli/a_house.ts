import type { Config } from "../../src/config/config.ts";
import type { DaemonPorts } from "../../src/daemon.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { type RawServer, type Replies, startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { type Around, finish, start } from "./captured.ts";

/** A subscription of the tests' receiver; what fails once is exhausted. */
export function to(server: RawServer, overrides: Partial<Subscription> = {}): Subscription {
  return aSubscription({
    id: "guests",
    url: server.url,
    allowHttp: true,
    allowNetworks: ["127.0.0.0/8"],
    ladder: { waitsMs: [] },
    ...overrides,
  });
}

/** A daemon with subscriptions of one receiver, and the command line that talks to it. */
export async function aHouse(
  {
    replies = {},
    subscriptions = (server) => [to(server)],
    config = {},
    ports = {},
  }: {
    replies?: Replies;
    subscriptions?: (server: RawServer) => readonly Subscription[];
    config?: Partial<Config>;
    ports?: Partial<DaemonPorts>;
  } = {},
) {
  const receiver = startRawServer(replies);
  const daemon = await aDaemon(
    aConfig({ subscriptions: subscriptions(receiver), ...config }),
    ports,
  );
  const at = (args: readonly string[]) => [...args, "--url", daemon.url];
  return {
    receiver,
    daemon,
    run: (args: readonly string[], around: Around = {}) => finish(at(args), around),
    start: (args: readonly string[], around: Around = {}) => start(at(args), around),
    /** Posts an event and answers its deliveries' ids once each is in that state. */
    async posted(event: Record<string, unknown> = {}, state = "delivered"): Promise<string[]> {
      const { body } = await daemon.call("POST", "/v1/events", {
        type: "booking.created",
        data: { booking_id: "bk_1" },
        ...event,
      });
      const ids = body.deliveries.map(({ id }: { id: string }) => id);
      for (const id of ids) {
        await until(
          async () => (await daemon.call("GET", `/v1/deliveries/${id}`)).body.state === state,
          `${id} is ${state}`,
        );
      }
      return ids;
    },
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await receiver.close();
    },
  };
}

/** The lines of an output, each divided at its tabs. */
export function rowsOf(output: string): string[][] {
  return output.split("\n").slice(0, -1).map((line) => line.split("\t"));
}

/** The objects of a `--json` output. */
// deno-lint-ignore no-explicit-any
export function objectsOf(output: string): any[] {
  return output.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

/** Lines that are wider than a terminal. */
export function tooWide(output: string, columns: number): string[] {
  return output.split("\n").filter((line) => line.length > columns);
}
