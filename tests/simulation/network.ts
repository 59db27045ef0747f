import type { FailureKind, Headers, Outcome } from "../../src/domain/attempt.ts";
import type { OutgoingRequest, Transport } from "../../src/transport/transport.ts";
import type { Chance } from "./chance.ts";
import type { World } from "./world.ts";

/** How a receiver reacts to requests. */
export type Mood =
  | "well"
  | "slow"
  | "failing"
  | "flapping"
  | "hanging"
  | "unreachable"
  | "redirecting"
  | "busy"
  | "gone";

export const MOODS: Readonly<Record<Mood, number>> = {
  well: 30,
  slow: 10,
  failing: 15,
  flapping: 20,
  hanging: 8,
  unreachable: 8,
  redirecting: 4,
  busy: 10,
  gone: 3,
};

/** One request in progress. */
export interface Sent {
  readonly request: OutgoingRequest;
  readonly startedMs: number;
  endedMs?: number;
  outcome?: Outcome;
}

/** The receivers, and the connections to them. */
export class Network {
  readonly #chance: Chance;
  readonly #world: World;
  readonly #moods = new Map<string, Mood>();
  readonly #mostAskedMs: number;
  #isHealed = false;

  constructor(world: World, chance: Chance) {
    this.#world = world;
    this.#chance = chance;
    // Days take long to simulate, so they are rare.
    this.#mostAskedMs = chance.happens(0.005) ? 2 * DAY_MS : 300_000;
  }

  setMood(url: string, mood: Mood): void {
    this.#moods.set(url, mood);
  }

  /** From now on every receiver accepts all requests. */
  heal(): void {
    this.#moods.clear();
    this.#isHealed = true;
  }

  /** One process's connections, which break when it ends. Calls `onSend` for each request. */
  transport(
    { isAlive, onSend, onEnd }: {
      isAlive: () => boolean;
      onSend: (sent: Sent) => void;
      onEnd: (sent: Sent) => void;
    },
  ): Transport {
    const underWay = new Set<(outcome: Outcome) => void>();
    return {
      send: (request) => {
        const sent: Sent = { request, startedMs: this.#world.nowMs };
        onSend(sent);
        return new Promise((resolve) => {
          const end = (outcome: Outcome) => {
            if (!underWay.delete(end)) return;
            sent.outcome = outcome;
            sent.endedMs = this.#world.nowMs;
            onEnd(sent);
            resolve(outcome);
          };
          underWay.add(end);
          const { afterMs, outcome } = this.#answer(request);
          const isLate = afterMs >= request.deadlineMs;
          this.#world.appoint(
            this.#world.nowMs + Math.min(afterMs, request.deadlineMs),
            isAlive,
            () => end(isLate ? failed("timeout") : outcome()),
          );
        });
      },
      close: () => {
        for (const end of [...underWay]) end(failed("reset"));
        return Promise.resolve();
      },
    };
  }

  #answer({ url }: OutgoingRequest): { afterMs: number; outcome: () => Outcome } {
    const chance = this.#chance;
    const mood = this.#moods.get(url) ?? "well";
    const soonMs = chance.happens(0.3) ? chance.whole(0, 3) : chance.length(0.3, 300);
    switch (mood) {
      case "well":
        return {
          afterMs: soonMs,
          outcome: () => answered(this.#isHealed ? 200 : chance.pick([200, 200, 202])),
        };
      case "slow":
        return { afterMs: chance.length(500, 20_000), outcome: () => answered(200) };
      case "failing":
        return { afterMs: soonMs, outcome: () => answered(chance.pick([400, 404, 500, 503])) };
      case "flapping":
        return { afterMs: soonMs, outcome: () => answered(chance.pick([200, 500])) };
      case "hanging":
        return { afterMs: Infinity, outcome: () => failed("timeout") };
      case "unreachable":
        return {
          afterMs: soonMs,
          outcome: () => failed(chance.pick(["dns", "connect", "tls", "reset", "blocked"])),
        };
      case "redirecting":
        return {
          afterMs: soonMs,
          outcome: () => answered(302, [["Location", "https://elsewhere.example/"]]),
        };
      case "busy":
        return {
          afterMs: soonMs,
          outcome: () => answered(chance.pick([429, 503, 500]), [this.#retryAfter()]),
        };
      case "gone":
        return { afterMs: soonMs, outcome: () => answered(410) };
    }
  }

  #retryAfter(): readonly [string, string] {
    const chance = this.#chance;
    const askedMs = chance.length(1_000, this.#mostAskedMs);
    return [
      "Retry-After",
      chance.weighed({ seconds: 6, date: 3, nonsense: 1 }) === "seconds"
        ? String(Math.round(askedMs / 1_000))
        : chance.happens(0.8)
        ? new Date(this.#world.wall() + askedMs).toUTCString()
        : "soon",
    ];
  }
}

const DAY_MS = 86_400_000;

function answered(status: number, headers: Headers = []): Outcome {
  return { kind: "answered", status, headers, body: new Uint8Array(), truncated: false };
}

function failed(kind: FailureKind): Outcome {
  return { kind: "failed", error: { kind, message: `as the simulation has it` } };
}
