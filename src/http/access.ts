import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import type { Context, MiddlewareHandler } from "hono";
import { hash } from "node:crypto";
import type { Config, Operator, Publisher } from "../config/config.ts";
import type { Actor } from "../domain/actor.ts";
import type { Secret } from "../domain/secret.ts";
import { clientAddress } from "./client_address.ts";
import { peerOf } from "./peer.ts";
import { ProblemError } from "./problem.ts";

/** Who sends a request. */
export type Caller =
  | { readonly kind: "publisher"; readonly publisher: Publisher }
  | { readonly kind: "operator"; readonly operator: Operator }
  /** Anyone who can reach the port, if the config has no `auth`. */
  | { readonly kind: "local" };

/** What the access middleware sets for the routes. */
export interface AccessVariables {
  caller: Caller;
  /** The client's address. */
  address: string;
}

/** Thrown if a request has no token, or an unknown one. */
export class AccessRefused extends ProblemError {
  constructor(readonly reason: "no_token" | "unknown_token", detail: string) {
    super({ status: 401, title: "Unauthorized", detail });
  }
}

/** Requires a bearer token if the config has `auth`. */
export function access(
  config: () => Config,
): MiddlewareHandler<{ Variables: AccessVariables }> {
  return (context, next) => {
    context.set("caller", callerOf(context.req.raw.headers, config()));
    context.set("address", addressOf(context, config()));
    return next();
  };
}

/** The client's address of a request in a route. */
export function addressOf({ req }: Context, config: Config): string {
  return requestAddress(req.raw, config);
}

/** The client's address of a request. */
export function requestAddress(
  request: { readonly headers: Pick<Headers, "get"> },
  { server }: Config,
): string {
  const forwardedFor = request.headers.get("x-forwarded-for");
  const { trustProxy = [] } = server;
  return clientAddress({ peer: peerOf(request), forwardedFor, trustProxy });
}

/** Who sends a request. Throws AccessRefused if the config has `auth` and the token isn't in it. */
export function callerOf(headers: Pick<Headers, "get">, { auth }: Config): Caller {
  return auth ? bearer(auth, headers.get("authorization")) : LOCAL;
}

const LOCAL: Caller = { kind: "local" };

/** Whether both configs have the same operators with the same tokens. */
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

/** Without `auth`, throws ProblemError (403) if the request may come from another site's page. */
export function assertOwnPage(headers: Pick<Headers, "get">, { auth, server }: Config): void {
  if (!auth && server.listen.kind === "tcp") {
    refuseForeign(headers.get("host"), headers.get("origin"));
  }
}

/** The caller and its address, for the history. */
export function actorOf({ var: { caller, address } }: { readonly var: AccessVariables }): Actor {
  return { name: nameOf(caller), address };
}

/** The caller's name in logs and in the history. */
export function nameOf(caller: Caller): string {
  if (caller.kind === "operator") return caller.operator.name;
  return caller.kind === "publisher" ? caller.publisher.name : "local";
}

/** Refuses publishers (403). */
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

/** The caller with this token; undefined if there is none. */
export function callerWith(auth: NonNullable<Config["auth"]>, token: string): Caller | undefined {
  const given = digest(token);
  let caller: Caller | undefined;
  // Compare with every token, so that the duration reveals nothing.
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

/** SHA-256, so that tokens of any length compare in constant time. */
function digest(token: string): Uint8Array {
  return Uint8Array.fromHex(hash("sha256", token, "hex"));
}

/** The digest of a token from the config, cached. */
function digestOf(token: Secret): Uint8Array {
  let made = digests.get(token);
  if (!made) digests.set(token, made = digest(token.reveal()));
  return made;
}

const digests = new WeakMap<Secret, Uint8Array>();

/** Guards against DNS rebinding: a web page can reach the port by a host name of its own. */
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
      detail: `Origin "${origin}" is another site; ` +
        "without auth only this daemon's own pages are allowed",
    });
  }
}

function isLoopbackAuthority(authority: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i.test(authority) ||
    isRareLoopbackAuthority(authority);
}

/** Other spellings that the URL standard allows: `localhost.`, `[0:0:0:0:0:0:0:1]`, `127.1`. */
function isRareLoopbackAuthority(authority: string): boolean {
  // Only a host and a port: no other part of a URL, and no percent-encoding.
  if (!/^([\da-z.]+|\[[\da-f:.]+\])(:\d{1,5})?$/i.test(authority)) return false;
  const hostname = URL.parse(`http://${authority}`)?.hostname ?? "";
  return /^(localhost\.|127(\.\d{1,3}){3}|\[::1\]|\[::ffff:7f..:[\da-f]{1,4}\])$/.test(hostname);
}
