import type { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import type { Claim, Claimed, ClaimRequest, Enqueued } from "../../src/outbox/outbox.ts";
import { openReading, openWriter } from "../../src/outbox/sqlite/connection.ts";
import { SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import type { Answer, Operation } from "../../src/outbox/sqlite/operations.ts";
import { type Applied, Store } from "../../src/outbox/sqlite/store.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** What the disk knows of a process. */
export interface Owner {
  isAlive(): boolean;
  /** It was killed right after a commit, before it could answer anyone. */
  onDeath(): void;
  onCommit(operations: readonly Operation[], answers: readonly Answer[], db: DatabaseSync): void;
  /** The claim whose body is being rendered; the next request is its attempt. */
  onRender(claim: Claim): void;
}

/** The real outbox on a real file, with crashes between commits and a disk that may be full. */
export class Disk {
  isFull = false;
  /** The process is killed after this many more commits. */
  commitsToLive = Infinity;
  readonly #folder: string;
  #generation = 0;
  #handles: { readonly db: DatabaseSync; readonly reader: SqliteReader } | undefined;
  #isLocked = false;
  /** Answers for which a process waits. */
  #waitedFor = 0;
  #asked = 0;

  constructor(folder: string, template: string) {
    this.#folder = folder;
    Deno.copyFileSync(template, this.path);
  }

  get path(): string {
    return `${this.#folder}/outbox-${this.#generation}.db`;
  }

  async open(owner: Owner): Promise<SqliteOutbox> {
    if (this.#isLocked) throw new Error("two processes have opened one outbox");
    this.#isLocked = true;
    const db = await openWriter(this.path);
    // By a clock that stands still no read is long: what others run meanwhile would be left to chance.
    const reader = new SqliteReader(openReading(this.path), new FakeClock());
    this.#handles = { db, reader };
    const lock = {
      release: () => {
        this.#isLocked = false;
        this.#handles = undefined;
      },
    };
    const store = new MortalStore(db, this, owner);
    return this.#gated(new SqliteOutbox(this.path, { store, reader, lock }), owner);
  }

  /** Leaves the files like a killed process; the next process opens copies. */
  crash(): void {
    const old = this.path;
    this.#generation++;
    for (const end of ["", "-wal"]) {
      try {
        Deno.copyFileSync(old + end, this.path + end);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    this.#handles?.reader.close();
    this.#handles?.db.close();
    this.#handles = undefined;
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

  /** Ignores requests of a killed process, and doesn't answer its earlier ones. */
  #gated(outbox: SqliteOutbox, owner: Owner): SqliteOutbox {
    return new Proxy(outbox, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...given: unknown[]) => {
          if (!owner.isAlive()) return new Promise(() => {});
          const answer = value.apply(target, given);
          return answer instanceof Promise ? this.#answerOf(answer, owner) : answer;
        };
      },
    });
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

/** One turn of the real event loop: what was put off to it before runs first. */
export function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

class MortalStore extends Store {
  readonly #db: DatabaseSync;
  readonly #disk: Disk;
  readonly #owner: Owner;

  constructor(db: DatabaseSync, disk: Disk, owner: Owner) {
    super(db);
    this.#db = db;
    this.#disk = disk;
    this.#owner = owner;
    const { pages } = this, checkpoint = pages.checkpoint.bind(pages);
    pages.checkpoint = () => owner.isAlive() ? checkpoint() : undefined;
  }

  override apply(operations: readonly Operation[], how?: { watched?: boolean }): Applied {
    if (!this.#owner.isAlive()) return NOTHING;
    if (this.#disk.isFull) throw new DiskFull();
    const applied = super.apply(operations, how);
    for (const [index, { kind }] of operations.entries()) {
      const answer = applied.answers[index];
      if (kind !== "enqueue" || (answer as Enqueued).kind !== "accepted") continue;
      for (const claim of (answer as Enqueued & { kind: "accepted" }).claims) this.#tap(claim);
    }
    this.#owner.onCommit(operations, applied.answers, this.#db);
    if (--this.#disk.commitsToLive <= 0) this.#owner.onDeath();
    return applied;
  }

  override claim(request: ClaimRequest): Claimed {
    const claimed = super.claim(request);
    for (const claim of claimed.claims) this.#tap(claim);
    return claimed;
  }

  /** The wire does not say which delivery an attempt is of; its claim is read just before. */
  #tap(claim: Claim): void {
    const { format } = claim;
    Object.defineProperty(claim, "format", {
      get: () => {
        this.#owner.onRender(claim);
        return format;
      },
    });
  }
}

const NOTHING: Applied = { answers: [], deliveries: new Set(), subscriptions: new Map() };

/** SQLite's error. */
class DiskFull extends Error {
  readonly errcode = 13;
  readonly errstr = "database or disk is full";
}
