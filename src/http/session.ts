import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import type { Config, Operator } from "../config/config.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import { callerWith } from "./access.ts";

/** How long a session lasts without use. Requests that an open page makes by itself don't count. */
const IDLE_MS = 12 * 3_600_000;
/** Only operators can open sessions; this guards against a script that signs in again and again. */
const MAX_SESSIONS = 1_000;

/** An operator signed in to the dashboard. */
export interface Session {
  /** The cookie's value. */
  readonly id: string;
  readonly operator: Operator;
  /** The CSRF token that every form of this session must send. */
  readonly csrf: string;
}

export interface SessionsPorts {
  readonly config: () => Config;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * The dashboard's sessions, kept only in memory. A restart ends all of them. A reload that removes an
 * operator or a token from the config ends theirs.
 */
export class Sessions {
  readonly #ports: SessionsPorts;
  /** The least recently used first. */
  readonly #open = new Map<string, { session: Session; endsAtMs: number }>();
  #localCsrf: string | undefined;

  constructor(ports: SessionsPorts) {
    this.#ports = ports;
  }

  /** The CSRF token if the config has no `auth`. */
  get localCsrf(): string {
    return this.#localCsrf ??= this.#unguessable();
  }

  /** Opens a session for an operator's token; undefined for any other text. */
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

  /** The session for a cookie, extended by this use; undefined if it doesn't exist or has ended. */
  use(id: string): Session | undefined {
    const session = this.find(id);
    if (!session) return undefined;
    this.#open.delete(id);
    this.#keep(session);
    return session;
  }

  /** Like `use`, but doesn't extend the session: for requests that a page makes by itself. */
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

/** Compares two CSRF tokens in constant time. */
export function isSameToken(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => new TextEncoder().encode(text)) as [
    Uint8Array,
    Uint8Array,
  ];
  return a.length === b.length && timingSafeEqual(a, b);
}
