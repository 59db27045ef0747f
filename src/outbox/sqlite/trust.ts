import type { Clock } from "../../runtime/clock.ts";
import { OutboxFailed, type OutboxUnavailable } from "../errors.ts";
import { isCorrupt } from "./damage.ts";
import { faultOf } from "./faults.ts";
import type { DatabaseLock } from "./lock.ts";
import { FilesChanged, type OwnFiles } from "./own_files.ts";

/** What notices that other programs take the files away, and what is done then. */
export interface Guard {
  readonly files: OwnFiles;
  readonly lock: DatabaseLock;
  readonly clock: Clock | undefined;
  /** Saves what can be saved; answers what happened and what to do. */
  readonly rescue: (fault: FilesChanged) => Promise<string>;
}

/** How often the files are looked at, besides the journal before each commit. */
const LOOK_MS = 1_000;

/** So long publishers and load balancers hear 503 before the door closes. */
const LAST_WORDS_MS = 1_000;

/** Whether the storage can still be trusted; once it can't, it never can again. */
export class Trust {
  /** Resolves when it can no longer be trusted: the process must end. */
  readonly lost: Promise<OutboxFailed>;
  /** Whether the outbox is being closed: nobody waits for last words then. */
  isClosing = false;
  /** What the last commit failed with, if it did and another may work. */
  unavailable: OutboxUnavailable | undefined;
  readonly #path: string;
  readonly #guard: Guard | undefined;
  readonly #tellLost: (error: OutboxFailed) => void;
  #failure: OutboxFailed | undefined;
  /** What is still read of files that were taken away is being saved. */
  #rescuing: Promise<OutboxFailed> | undefined;
  #cancelLook: (() => void) | undefined;

  constructor(path: string, guard: Guard | undefined) {
    this.#path = path;
    this.#guard = guard;
    const { promise, resolve } = Promise.withResolvers<OutboxFailed>();
    this.lost = promise;
    this.#tellLost = resolve;
    this.#lookLater();
  }

  /** Why it is not trusted any more. */
  get failure(): OutboxFailed | undefined {
    return this.#failure;
  }

  /** What a thrown thing means to callers; from here on nothing is trusted where that must be. */
  judge(error: unknown): Error {
    const fault = faultOf(error, this.#path, { before: this.unavailable });
    return fault instanceof OutboxFailed && !this.#failure ? this.#fail(fault) : fault;
  }

  /** Whether a row could not be read though nobody took the files away. */
  isDamage(error: unknown): boolean {
    if (this.#failure || !isCorrupt(error)) return false;
    this.look();
    return !this.#failure;
  }

  /** Looks at the files by their names. */
  look(): void {
    try {
      this.#guard?.files.assertAll();
      this.#guard?.lock.restore();
    } catch (error) {
      this.judge(error);
    }
  }

  #lookLater(): void {
    this.#cancelLook = this.#guard?.clock?.after(LOOK_MS, () => {
      this.look();
      if (!this.#failure && !this.isClosing) this.#lookLater();
    });
  }

  stopLooking(): void {
    this.#cancelLook?.();
  }

  /** Waits for what is being saved of files that were taken away. */
  async rescued(): Promise<void> {
    await this.#rescuing;
  }

  #fail(found: OutboxFailed): OutboxFailed {
    const fault = this.#failure = this.#causeOf(found);
    this.#cancelLook?.();
    if (fault instanceof FilesChanged && this.#guard) {
      this.#rescuing = this.#rescue(fault, this.#guard);
      void this.#rescuing.then(this.#tellLost);
    } else this.#tellLost(fault);
    return fault;
  }

  /** What SQLite can't read may be because somebody has cut the files short. */
  #causeOf(found: OutboxFailed): OutboxFailed {
    try {
      this.#guard?.files.assertAll();
    } catch (error) {
      if (error instanceof FilesChanged) return error;
    }
    return found;
  }

  async #rescue(fault: FilesChanged, { rescue, clock }: Guard): Promise<OutboxFailed> {
    const lastWords = Promise.withResolvers<void>();
    if (this.isClosing || !clock) lastWords.resolve();
    else clock.after(LAST_WORDS_MS, lastWords.resolve);
    const why = await rescue(fault);
    await lastWords.promise;
    return new OutboxFailed(`cannot trust "${this.#path}" any more: ${why}`, { cause: fault });
  }
}
