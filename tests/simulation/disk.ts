import { OutboxUnavailable } from "../../src/outbox/errors.ts";
import type { Claim, TimedCommit } from "../../src/outbox/outbox.ts";
import type { WholeOutbox } from "../../src/outbox/reader.ts";
import { openWithin, type Storage, turnOfTheLoop } from "../support/storages.ts";

/** What the disk knows of a process. */
export interface Owner {
  isAlive(): boolean;
  /** It was killed right after a commit, before it could answer anyone. */
  onDeath(): void;
  onCommit(): void;
  /** Something it asked of the outbox has come about; told before it hears of it itself. */
  onDone(done: Done): void;
  /** The claim whose body is being rendered; the next request is its attempt. */
  onRender(claim: Claim): void;
}

type Asked<Name extends keyof WholeOutbox> = WholeOutbox[Name] extends
  (...given: infer Given) => Promise<infer Answer>
  ? { readonly name: Name; readonly given: Given; readonly answer: Answer }
  : never;

/** What was asked of an outbox, and its answer. */
export type Done = { [Name in keyof WholeOutbox]: Asked<Name> }[keyof WholeOutbox];

/** A real outbox, with crashes between commits and a disk that may be full. */
export class Disk {
  isFull = false;
  /** The process is killed after this many more commits. */
  commitsToLive = Infinity;
  readonly #storage: Storage;
  #isLocked = false;
  /** Answers for which a process waits. */
  #waitedFor = 0;
  #asked = 0;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  async open(owner: Owner): Promise<WholeOutbox> {
    if (this.#isLocked) throw new Error("two processes have opened one outbox");
    this.#isLocked = true;
    const outbox = await openWithin(
      this.#storage,
      () => owner.isAlive(),
      (timed) => this.#committing(owner, timed),
    );
    return this.#gated(outbox, owner);
  }

  /** Leaves what is stored like a killed process. */
  crash(): void {
    this.#storage.crash();
    this.#isLocked = false;
    this.commitsToLive = Infinity;
  }

  /** Runs everything until it waits for time to pass. */
  async settle(): Promise<void> {
    for (;;) {
      let asked: number;
      do {
        asked = this.#asked;
        for (let turn = 0; turn < 30; turn++) await undefined;
      } while (asked !== this.#asked);
      if (this.#waitedFor === 0) return;
      await turnOfTheLoop();
    }
  }

  /** A commit is refused where there is no room, and kills its process when its time has come. */
  #committing(owner: Owner, timed: TimedCommit): TimedCommit {
    return (commit, about) =>
      timed(async () => {
        if (!owner.isAlive()) throw new OutboxUnavailable("the process is dead");
        if (this.isFull) throw new OutboxUnavailable("the disk is full");
        const answer = commit();
        owner.onCommit();
        if (--this.commitsToLive <= 0) owner.onDeath();
        return await answer;
      }, about);
  }

  /** Ignores requests of a killed process, and doesn't answer its earlier ones. */
  #gated(outbox: WholeOutbox, owner: Owner): WholeOutbox {
    return new Proxy(outbox, {
      get: (target, name: keyof WholeOutbox) => {
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...given: unknown[]) => {
          if (!owner.isAlive()) return new Promise(() => {});
          const answer = Reflect.apply(value, target, given);
          if (!(answer instanceof Promise)) return answer;
          const done = answer.then((answer) => {
            const what = { name, given, answer } as unknown as Done;
            owner.onDone(what);
            this.#tap(what, owner);
            if (name === "close") this.#isLocked = false;
            return answer;
          });
          return this.#answerOf(done, owner);
        };
      },
    });
  }

  /** The wire does not say which delivery an attempt is of; its claim is read just before. */
  #tap(done: Done, owner: Owner): void {
    if (done.name !== "claim" && done.name !== "enqueue") return;
    for (const claim of "claims" in done.answer ? done.answer.claims : []) {
      const { format } = claim;
      Object.defineProperty(claim, "format", {
        get: () => {
          owner.onRender(claim);
          return format;
        },
      });
    }
  }

  #answerOf<Value>(answer: Promise<Value>, owner: Owner): Promise<Value> {
    this.#asked++;
    this.#waitedFor++;
    return new Promise((resolve, reject) => {
      const hear = (tell: () => void) => {
        this.#waitedFor--;
        this.#asked++;
        if (owner.isAlive()) tell();
      };
      answer.then((value) => hear(() => resolve(value)), (error) => hear(() => reject(error)));
    });
  }
}
