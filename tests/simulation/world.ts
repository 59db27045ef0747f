import type { Instant } from "../../src/domain/instant.ts";
import type { BootReading } from "../../src/runtime/boot_time.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import type { Chance } from "./chance.ts";

/** The machine's uptime when the true time was 0. */
export const BOOTED_BEFORE_MS = 3_600_000;

/** Something that happens at its time, unless it is cancelled before. */
interface Appointment {
  readonly atMs: number;
  readonly number: number;
  readonly isOn: () => boolean;
  readonly happen: () => void;
}

/**
 * Time, and what it brings. It stands still while anything runs. `nowMs` is the true time, which
 * no daemon sees; its wall clock is as far off as somebody has set it.
 */
export class World {
  nowMs = 0;
  /** How far wall clocks were set forward in total. */
  offsetMs = 0;
  readonly #chance: Chance;
  /** The wall clock's time when the true time was 0. */
  readonly startAt: Instant = Date.UTC(2024, 2, 15, 10, 30);
  #agenda: Appointment[] = [];
  #number = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  wall(): Instant {
    return Math.floor(this.startAt + this.nowMs + this.offsetMs);
  }

  /** Sets the wall clock. */
  step(ms: number): void {
    this.offsetMs += ms;
  }

  appoint(atMs: number, isOn: () => boolean, happen: () => void): void {
    const appointment = { atMs, number: ++this.#number, isOn, happen };
    const agenda = this.#agenda;
    let index = agenda.push(appointment) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (isBefore(agenda[parent]!, appointment)) break;
      agenda[index] = agenda[parent]!;
      index = parent;
    }
    agenda[index] = appointment;
  }

  /** When the next thing happens; Infinity if nothing does. */
  get nextMs(): number {
    while (this.#agenda.length > 0 && !this.#agenda[0]!.isOn()) this.#takeTop();
    return this.#agenda[0]?.atMs ?? Infinity;
  }

  /** Advances to the next thing and runs it. */
  happenNext(): void {
    this.nowMs = Math.max(this.nowMs, this.nextMs);
    this.#takeTop().happen();
  }

  /** A process's clock. Its timers end with the process. */
  clock(isAlive: () => boolean): Clock {
    const startMs = this.nowMs - this.#chance.next() * 1e6;
    return {
      wall: () => this.wall(),
      monotonicMs: () => this.nowMs - startMs,
      boot: () => Promise.resolve(this.#sinceBoot(this.nowMs - startMs)),
      after: (ms, callback) => {
        let isOn = true;
        // A timer is never early, but may be late on a busy machine.
        const lateMs = this.#chance.happens(0.02) ? 250 * this.#chance.next() : 0;
        const atMs = this.nowMs + Math.max(0, Math.ceil(ms)) + lateMs;
        this.appoint(atMs, () => isOn && isAlive(), callback);
        return () => {
          isOn = false;
        };
      },
    };
  }

  /** The machine never restarts, only its processes do. */
  #sinceBoot(monotonicMs: number): BootReading {
    const ms = BOOTED_BEFORE_MS + this.nowMs;
    const read = { afterMonotonicMs: monotonicMs, beforeMonotonicMs: monotonicMs };
    return { id: "the one boot", leastMs: ms, mostMs: ms, ...read };
  }

  #takeTop(): Appointment {
    const agenda = this.#agenda;
    const top = agenda[0]!, last = agenda.pop()!;
    if (agenda.length === 0) return top;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= agenda.length) break;
      if (child + 1 < agenda.length && isBefore(agenda[child + 1]!, agenda[child]!)) child++;
      if (isBefore(last, agenda[child]!)) break;
      agenda[index] = agenda[child]!;
      index = child;
    }
    agenda[index] = last;
    return top;
  }
}

function isBefore(a: Appointment, b: Appointment): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number);
}
