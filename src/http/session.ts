import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import type { Config, Operator } from "../config/config.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import { callerWith } from "./access.ts";

/** How long an operator stays signed in who does nothing; what an open page fetches is nothing. */
const IDLE_MS = 12 * 3_600_000;
/** Only operators can open one; this is against a script of theirs that signs in without end. */
const MAX_SESSIONS = 1_000;

/** An operator in a browser. */
export interface Session {
  /** The cookie's value. */
  readonly id: string;
  readonly operator: Operator;
  /** What every form of this session has to bring along. */
  readonly csrf: string;
}

export interface SessionsPorts {
  readonly config: () => Config;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Who is signed in to the dashboard, in memory alone: a restart signs everybody out, and so does a
 * reload that takes the operator, or the token, out of the config.
 */
export class Sessions {
  readonly #ports: SessionsPorts;
  /** The least recently used first. */
  readonly #open = new Map<string, { session: Session; endsAtMs: number }>();
  #localCsrf: string | undefined;

  constructor(ports: SessionsPorts) {
    this.#ports = ports;
  }

  /** What forms bring along where the daemon asks for no token. */
  get localCsrf(): string {
    return this.#localCsrf ??= this.#unguessable();
  }

  /** A session for an operator's token; undefined for any other text. */
  signIn(token: string): Session | undefined {
    const { auth } = this.#ports.config();
    const caller = auth && callerWith(auth, token);
    if (caller?.kind !== "operator") return undefined;
    const session = {
      id: this.#unguessable(),
      operator: caller.operator,
      csrf: this.#unguessable(),
    };
    if (this.#open.size >= MAX_SESSIONS) this.#open.delete(this.#open.keys().next().value!);
    this.#keep(session);
    return session;
  }

  /** The session of a cookie, used now by a person; undefined where it has ended, or never was. */
  use(id: string): Session | undefined {
    const session = this.find(id);
    if (!session) return undefined;
    this.#open.delete(id);
    this.#keep(session);
    return session;
  }

  /** The same for what no person has asked for: it does not make a session last longer. */
  find(id: string): Session | undefined {
    const found = this.#open.get(id);
    if (!found) return undefined;
    const isOver = found.endsAtMs <= this.#ports.clock.monotonicMs();
    if (!isOver && this.#isOperator(found.session.operator)) return found.session;
    this.#open.delete(id);
    return undefined;
  }

  signOut(id: string): void {
    this.#open.delete(id);
  }

  #keep(session: Session): void {
    this.#open.set(session.id, {
      session,
      endsAtMs: this.#ports.clock.monotonicMs() + IDLE_MS,
    });
  }

  #isOperator({ name, token }: Operator): boolean {
    const operators = this.#ports.config().auth?.operators ?? [];
    return operators.some((one) => one.name === name && one.token.equals(token));
  }

  #unguessable(): string {
    return this.#ports.random.bytes(32).toBase64({ alphabet: "base64url", omitPadding: true });
  }
}

/** Whether a form brought the right word along, in a time that says nothing about it. */
export function isSameToken(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => new TextEncoder().encode(text)) as [
    Uint8Array,
    Uint8Array,
  ];
  return a.length === b.length && timingSafeEqual(a, b);
}
