import { parseRate } from "../domain/duration.ts";
import { isEventType } from "../domain/event.ts";
import { compilePattern } from "../domain/pattern.ts";
import { quoted } from "../domain/quoted.ts";
import { Secret } from "../domain/secret.ts";
import type { Config, Operator, Publisher } from "./config.ts";
import { readScope } from "./conditions.ts";
import { undeclared } from "./event_names.ts";
import { type Findings } from "./problem.ts";
import type { RawConfig } from "./schema.ts";
import { where } from "./memory.ts";
import type { SecretReader } from "./secrets.ts";
import type { PartlyValid } from "./shape.ts";
import type { Place } from "./source.ts";

type RawAuth = NonNullable<PartlyValid<RawConfig>["auth"]>;

interface Context {
  readonly secrets: SecretReader;
  /** The publisher's event types. Undefined if any type is accepted. */
  readonly declared: ReadonlySet<string> | undefined;
  readonly findings: Findings;
}

/** The callers, with their tokens. Invalid ones are reported, and left out. */
export async function readAuth(
  place: Place,
  raw: RawAuth,
  context: Context,
): Promise<NonNullable<Config["auth"]>> {
  const { findings } = context;
  checkNames(place.at("publishers"), findings);
  checkNames(place.at("operators"), findings);
  if (place.at("publishers").elements().length + place.at("operators").elements().length === 0) {
    findings.warn(place.problem(
      "nobody is named here, so nobody may call",
      'name somebody in "publishers" and "operators", or take "auth" out',
    ));
  }
  const tokens: Tokens = new Map();
  const publishers: Publisher[] = [];
  for (const [index, one] of (raw.publishers ?? []).entries()) {
    if (!one) continue;
    const at = place.at("publishers", index);
    const token = await readToken(
      { raw: one.token, place: at.at("token"), tokens },
      context,
    );
    for (const type of at.at("types").elements()) {
      const text = type.value();
      const problem = typeof text === "string" && isEventType(text) &&
        undeclared(text, type, context.declared);
      if (problem) findings.add(problem);
    }
    if (token === undefined || one.name === undefined) continue;
    publishers.push({
      name: one.name,
      token,
      ...(one.types && {
        types: one.types.filter((type) => type !== undefined).map(compilePattern),
      }),
      ...(at.at("scope").exists && { scope: readScope(at.at("scope")) }),
      ...(one.rate !== undefined && { rate: parseRate(one.rate)! }),
      ...(one.maxPending !== undefined && { maxPending: one.maxPending }),
    });
  }
  const operators: Operator[] = [];
  for (const [index, one] of (raw.operators ?? []).entries()) {
    if (!one) continue;
    const at = place.at("operators", index, "token");
    const token = await readToken({ raw: one.token, place: at, tokens }, context);
    if (token !== undefined && one.name !== undefined) operators.push({ name: one.name, token });
  }
  return { publishers, operators };
}

function checkNames(list: Place, findings: Findings): void {
  const first = new Map<string, Place>();
  for (const place of list.elements()) {
    const at = place.at("name");
    const name = at.value();
    if (typeof name !== "string") continue;
    const earlier = first.get(name);
    if (earlier === undefined) {
      first.set(name, at);
      continue;
    }
    const message = `the name ${quoted(name)} is taken by another, ${
      where(earlier.mark(), at.mark())
    }`;
    findings.add(at.problem(message, "give this one a name of its own"));
  }
}

/** The place of each token, since callers are recognised by their token. */
type Tokens = Map<string, Place>;

async function readToken(
  { raw, place, tokens }: {
    raw: Parameters<SecretReader["read"]>[0];
    place: Place;
    tokens: Tokens;
  },
  { secrets, findings }: Context,
): Promise<Secret | undefined> {
  const token = await secrets.read(raw, place);
  if (token === undefined) return undefined;
  if (!(token instanceof Secret)) {
    findings.add(token);
    return undefined;
  }
  const text = token.reveal();
  if (!/^[\x21-\x7e]+$/.test(text)) {
    const message = "the token holds a space, a control character or one outside ASCII";
    findings.add(place.problem(message, "choose one that fits into an Authorization header"));
  }
  if (text.length < 16) {
    const message = "the token has fewer than 16 characters: it can be guessed";
    findings.warn(place.problem(message, "choose one of 32 random characters"));
  }
  const earlier = tokens.get(text);
  if (earlier !== undefined) {
    const message = `the token is another caller's as well, ${where(earlier.mark(), place.mark())}`;
    findings.add(place.problem(message, "give each caller a token of its own"));
  } else tokens.set(text, place);
  return token;
}
