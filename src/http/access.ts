import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import type { Context, MiddlewareHandler } from "hono";
import { hash } from "node:crypto";
import type { Config, Operator, Publisher } from "../config/config.ts";
import type { Actor } from "../domain/actor.ts";
import type { Secret } from "../domain/secret.ts";
import { clientAddress } from "./client_address.ts";
import { peerOf } from "./peer.ts";
import { ProblemError } from "./problem.ts";

/** Who is asking. */
export type Caller =
  | { readonly kind: "publisher"; readonly publisher: Publisher }
  | { readonly kind: "operator"; readonly operator: Operator }
  /** The config asks for no tokens: whoever reaches the loopback port. */
  | { readonly kind: "local" };

/** What the middleware leaves behind for the routes. */
export interface AccessVariables {
  caller: Caller;
  /** Where the request comes from. */
  address: string;
}

/** Thrown where somebody is not let in for want of a token that is known. */
export class AccessRefused extends ProblemError {
  constructor(readonly reason: "no_token" | "unknown_token", detail: string) {
    super({ status: 401, title: "Unauthorized", detail });
  }
}

/** Who may ask at all: a bearer token where there is `auth`, this machine alone where not. */
export function access(
  config: () => Config,
): MiddlewareHandler<{ Variables: AccessVariables }> {
  return (context, next) => {
    context.set("caller", callerOf(context.req.raw.headers, config()));
    context.set("address", addressOf(context, config()));
    return next();
  };
}

/** Where a request comes from that the routes were handed. */
export function addressOf({ req }: Context, config: Config): string {
  return requestAddress(req.raw, config);
}

/** Where a request comes from. */
export function requestAddress(
  request: { readonly headers: Pick<Headers, "get"> },
  { server }: Config,
): string {
  const forwardedFor = request.headers.get("x-forwarded-for");
  const { trustProxy = [] } = server;
  return clientAddress({ peer: peerOf(request), forwardedFor, trustProxy });
}

/** Who is asking; throws AccessRefused where the config wants a token and there is none of its. */
export function callerOf(headers: Pick<Headers, "get">, { auth }: Config): Caller {
  return auth ? bearer(auth, headers.get("authorization")) : LOCAL;
}

const LOCAL: Caller = { kind: "local" };

/** Whether the same operators may ask, by the same tokens. */
export function haveSameOperators(one: Config["auth"], other: Config["auth"]): boolean {
  if (!one || !other) return !one && !other;
  const { operators } = other;
  return one.operators.length === operators.length &&
    one.operators.every((before) =>
      operators.some((after) =>
        timingSafeEqual(digestOf(before.token), digestOf(after.token)) && before.name === after.name
      )
    );
}

/** Throws ProblemError (403) where there are no tokens and a page of another site may be asking. */
export function assertOwnPage(headers: Pick<Headers, "get">, { auth, server }: Config): void {
  if (!auth && server.listen.kind === "tcp") {
    refuseForeign(headers.get("host"), headers.get("origin"));
  }
}

/** Who is asking, and from where, as the history has it. */
export function actorOf({ var: { caller, address } }: { readonly var: AccessVariables }): Actor {
  return { name: nameOf(caller), address };
}

/** How the records name a caller. */
export function nameOf(caller: Caller): string {
  if (caller.kind === "operator") return caller.operator.name;
  return caller.kind === "publisher" ? caller.publisher.name : "local";
}

/** Lets operators pass, and everybody where there are no tokens. */
export const operatorsOnly: MiddlewareHandler<{ Variables: AccessVariables }> = (
  context,
  next,
) => {
  if (context.get("caller").kind === "publisher") {
    throw new ProblemError({
      status: 403,
      title: "Forbidden",
      detail: "this is for operators; the token is a publisher's. Use one of auth.operators",
    });
  }
  return next();
};

function bearer(auth: NonNullable<Config["auth"]>, header: string | null): Caller {
  const token = /^Bearer +([^\s]+)$/i.exec(header ?? "")?.[1];
  if (token === undefined) {
    throw new AccessRefused(
      "no_token",
      "a token is needed: send `Authorization: Bearer TOKEN`",
    );
  }
  const caller = callerWith(auth, token);
  if (caller) return caller;
  throw new AccessRefused(
    "unknown_token",
    "the token is not one of auth.publishers or auth.operators",
  );
}

/** Whose token it is; undefined where it is nobody's. */
export function callerWith(auth: NonNullable<Config["auth"]>, token: string): Caller | undefined {
  const given = digest(token);
  let caller: Caller | undefined;
  // Every token is compared, so that the time says nothing about which one came near.
  for (const operator of auth.operators) {
    if (timingSafeEqual(digestOf(operator.token), given)) {
      caller = { kind: "operator", operator };
    }
  }
  for (const publisher of auth.publishers) {
    if (timingSafeEqual(digestOf(publisher.token), given)) {
      caller = { kind: "publisher", publisher };
    }
  }
  return caller;
}

/** SHA-256, so that tokens of any length compare in one time. */
function digest(token: string): Uint8Array {
  return Uint8Array.fromHex(hash("sha256", token, "hex"));
}

/** The digest of a token of the config, worked out once. */
function digestOf(token: Secret): Uint8Array {
  let made = digests.get(token);
  if (!made) digests.set(token, made = digest(token.reveal()));
  return made;
}

const digests = new WeakMap<Secret, Uint8Array>();

/** A page in a browser can reach the port under a name of its own making (DNS rebinding). */
function refuseForeign(host: string | null, origin: string | null): void {
  if (!isLoopbackAuthority(host ?? "")) {
    throw new ProblemError({
      status: 403,
      title: "Forbidden",
      detail: `Host "${host ?? ""}" is not this machine; without auth only loopback is served`,
    });
  }
  if (origin === null) return;
  const authority = /^https?:\/\/(.+)$/.exec(origin)?.[1] ?? "";
  if (!isLoopbackAuthority(authority) || authority !== host) {
    throw new ProblemError({
      status: 403,
      title: "Forbidden",
      detail: `Origin "${origin}" is foreign; without auth only this daemon's own pages may ask`,
    });
  }
}

function isLoopbackAuthority(authority: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i.test(authority) ||
    isRareLoopbackAuthority(authority);
}

/** By other spellings, as the URL standard reads hosts: `localhost.`, `[0:0:0:0:0:0:0:1]`, `127.1`. */
function isRareLoopbackAuthority(authority: string): boolean {
  // Nothing that stands beside a host in a URL, and nothing that stands for another character.
  if (!/^([\da-z.]+|\[[\da-f:.]+\])(:\d{1,5})?$/i.test(authority)) return false;
  const hostname = URL.parse(`http://${authority}`)?.hostname ?? "";
  return /^(localhost\.|127(\.\d{1,3}){3}|\[::1\]|\[::ffff:7f..:[\da-f]{1,4}\])$/.test(hostname);
}
