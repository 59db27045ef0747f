import { lookup } from "node:dns/promises";
import { hasFreeDescriptors } from "../runtime/descriptors.ts";
import type { Clock } from "../runtime/clock.ts";
import { Failure } from "./failure.ts";
import { machineFault, noDescriptors } from "./machine_fault.ts";
import { MachineFault } from "./transport.ts";

/** All addresses of a host name, in the order they should be tried. */
export type Resolver = (hostname: string) => Promise<readonly string[]>;

/**
 * Lookups that answer in time run so many at once. A lookup holds one of the runtime's some 32 threads
 * for blocking work and can't be broken off, so that one whose name server hangs holds it for long.
 */
const MAX_QUICK = 4;
/** A lookup that takes longer makes room for the next quick one; its domain is slow from then on. */
const SLOW_AFTER_MS = 1_000;
/** So many names of slow domains are looked up at once. */
const MAX_SLOW = 2;
/** So many lookups hold a thread at once, whatever becomes of them. */
const MAX_THREADS = 12;

/** For so long an answer holds: short enough to follow a host that moves. */
const KEEP_ADDRESSES_MS = 10_000;
const KEEP_FAILURE_MS = 3_000;
/** So many names are remembered. */
const MOST_NAMES = 10_000;

/** What a lookup came to. A fault of the machine is not remembered. */
type Answer = readonly string[] | Failure | MachineFault;

/** One name: its answer, or the lookup that is to bring it. */
interface Name {
  readonly hostname: string;
  readonly domain: Domain;
  answer: Answer | undefined;
  untilMs: number;
  pending: PromiseWithResolvers<Answer> | undefined;
  askedAtMs: number;
  /** Undefined while it waits for its turn. */
  beganAtMs: number | undefined;
  /** How many wait for it: a lookup that nobody waits for any more is not begun. */
  waiting: number;
}

/** Names of one domain mostly have the same name servers. */
interface Domain {
  readonly name: string;
  /** Its name servers were last seen to answer quickly, or to hang; undefined before either. */
  isSlow: boolean | undefined;
  underWay: number;
}

/**
 * Looks names up, few at once, each once for all who ask, and remembers the answers for some
 * seconds. Names of domains whose name servers hang wait for each other and not before the others.
 */
export class NameService {
  readonly #resolve: Resolver;
  readonly #clock: Clock;
  readonly #names = new Map<string, Name>();
  readonly #domains = new Map<string, Domain>();
  #queue: Name[] = [];
  #quick = 0;
  #slow = 0;
  /** End the timers of the lookups under way, which themselves can't be ended. */
  readonly #stopTimers = new Set<() => void>();

  constructor(resolve: Resolver, clock: Clock) {
    this.#resolve = resolve;
    this.#clock = clock;
  }

  /**
   * The addresses of a host name; at least one. Throws a Failure where it has none, the signal's reason
   * where that comes first, and a MachineFault where the lookup could not even begin.
   */
  async addressesOf(hostname: string, signal: AbortSignal): Promise<readonly string[]> {
    signal.throwIfAborted();
    const name = this.#name(hostname);
    if (name.answer !== undefined && this.#clock.monotonicMs() < name.untilMs) {
      return addressesIn(name.answer);
    }
    return addressesIn(await this.#ask(name, signal));
  }

  /** Nothing is begun any more, and nothing is waited for. */
  close(): void {
    this.#queue = [];
    for (const stopTimer of this.#stopTimers) stopTimer();
    this.#stopTimers.clear();
  }

  #name(hostname: string): Name {
    const known = this.#names.get(hostname);
    if (known !== undefined) return known;
    if (this.#names.size >= MOST_NAMES) this.#forget();
    const name = {
      hostname,
      domain: this.#domain(hostname),
      answer: undefined,
      untilMs: 0,
      pending: undefined,
      askedAtMs: 0,
      beganAtMs: undefined,
      waiting: 0,
    };
    this.#names.set(hostname, name);
    return name;
  }

  #domain(hostname: string): Domain {
    const name = hostname.replace(/\.$/, "").split(".").slice(-2).join(".");
    const known = this.#domains.get(name);
    if (known !== undefined) return known;
    const domain = { name, isSlow: undefined, underWay: 0 };
    this.#domains.set(name, domain);
    return domain;
  }

  #forget(): void {
    for (const [hostname, name] of this.#names) {
      if (name.pending === undefined) this.#names.delete(hostname);
    }
    this.#domains.clear();
    for (const { domain } of this.#names.values()) this.#domains.set(domain.name, domain);
  }

  async #ask(name: Name, signal: AbortSignal): Promise<Answer> {
    if (name.pending === undefined) {
      name.pending = Promise.withResolvers();
      name.askedAtMs = this.#clock.monotonicMs();
      name.beganAtMs = undefined;
      this.#queue.push(name);
    }
    const { promise } = name.pending;
    name.waiting++;
    const late = Promise.withResolvers<never>();
    const onAbort = () => late.reject(this.#reasonFor(name, signal));
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      this.#begin();
      return await Promise.race([promise, late.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
      name.waiting--;
    }
  }

  /** That others' lookups hang is no fault of this receiver's. */
  #reasonFor({ hostname, askedAtMs, beganAtMs }: Name, { reason }: AbortSignal): unknown {
    if (!(reason instanceof Failure) || reason.kind !== "timeout") return reason;
    const hadItsTime = beganAtMs !== undefined &&
      beganAtMs - askedAtMs <= this.#clock.monotonicMs() - beganAtMs;
    if (hadItsTime) return reason;
    return new MachineFault(
      "name service",
      `${hostname} could not be looked up in time: too many name servers don't answer`,
    );
  }

  /** Begins what may begin, in the order it was asked for. */
  #begin(): void {
    const waiting = this.#queue;
    if (waiting.length === 0) return;
    this.#queue = [];
    for (const name of waiting) {
      if (name.waiting === 0) name.pending = undefined;
      else if (this.#mayBegin(name.domain)) void this.#lookUp(name);
      else this.#queue.push(name);
    }
  }

  #mayBegin({ isSlow, underWay }: Domain): boolean {
    if (this.#quick + this.#slow >= MAX_THREADS) return false;
    if (isSlow) return this.#slow < MAX_SLOW;
    // Of a domain that nothing is known of, one name shows whether its name servers answer.
    return this.#quick < MAX_QUICK && (isSlow === false || underWay === 0);
  }

  async #lookUp(name: Name): Promise<void> {
    const { domain } = name;
    const startedMs = this.#clock.monotonicMs();
    name.beganAtMs = startedMs;
    domain.underWay++;
    let isSlow = domain.isSlow === true;
    if (isSlow) this.#slow++;
    else this.#quick++;
    const stopTimer = this.#clock.after(SLOW_AFTER_MS, () => {
      this.#stopTimers.delete(stopTimer);
      domain.isSlow = true;
      if (isSlow) return;
      isSlow = true;
      this.#quick--;
      this.#slow++;
      this.#begin();
    });
    this.#stopTimers.add(stopTimer);
    const answer = await this.#answerOf(name.hostname);
    stopTimer();
    this.#stopTimers.delete(stopTimer);
    domain.underWay--;
    if (isSlow) this.#slow--;
    else this.#quick--;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - startedMs < SLOW_AFTER_MS) domain.isSlow = false;
    this.#remember(name, answer, nowMs);
    this.#begin();
  }

  #remember(name: Name, answer: Answer, nowMs: number): void {
    name.answer = answer instanceof MachineFault ? undefined : answer;
    name.untilMs = nowMs + (answer instanceof Failure ? KEEP_FAILURE_MS : KEEP_ADDRESSES_MS);
    const { pending } = name;
    name.pending = undefined;
    pending!.resolve(answer);
  }

  async #answerOf(hostname: string): Promise<Answer> {
    const lacking = noDescriptors(`look ${hostname} up`);
    if (!hasFreeDescriptors()) return lacking;
    try {
      const found = await this.#resolve(hostname);
      return found.length > 0 ? found : new Failure("dns", `no such host ${hostname}`);
    } catch (error) {
      if (error instanceof MachineFault) return error;
      // The system says "no such host" of any name where it has no descriptor to ask with.
      if (!hasFreeDescriptors()) return lacking;
      return machineFault(error) ?? unresolved(hostname, error as Error & { code?: string });
    }
  }
}

function addressesIn(answer: Answer): readonly string[] {
  if (answer instanceof Error) throw answer;
  return answer;
}

function unresolved(hostname: string, error: Error & { code?: string }): Failure {
  if (error.code === "ENOTFOUND" || error.code === "ENODATA") {
    return new Failure("dns", `no such host ${hostname}`);
  }
  return error.code === "EAI_AGAIN"
    ? new Failure("dns", `no name server answered for ${hostname}`)
    : new Failure("dns", `can't resolve ${hostname}: ${error.message}`);
}

/** Every name server knows that there is no such name, without asking others (RFC 6761, section 6.4). */
const CONTROL_NAME = "bellhook.invalid";

/** The runtime's own resolver: hosts file, then name servers. */
export const systemResolver: Resolver = async (hostname) => {
  try {
    return await addressesByLookup(hostname);
  } catch (error) {
    if ((error as { code?: string }).code !== "EAI_AGAIN" || await answersControlName()) {
      throw error;
    }
    throw new MachineFault(
      "name service",
      `this machine's name service doesn't answer: it knows neither ${hostname} nor ` +
        `that there is no ${CONTROL_NAME}`,
    );
  }
};

async function addressesByLookup(hostname: string): Promise<readonly string[]> {
  const found = await lookup(hostname, { all: true, order: "verbatim" });
  return found.map(({ address }) => address);
}

async function answersControlName(): Promise<boolean> {
  try {
    await addressesByLookup(CONTROL_NAME);
    return true;
  } catch (error) {
    return (error as { code?: string }).code !== "EAI_AGAIN";
  }
}
