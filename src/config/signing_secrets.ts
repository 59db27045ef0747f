import { type Instant, parseInstant } from "../domain/instant.ts";
import type { Profile } from "../domain/profile.ts";
import { quoted } from "../domain/quoted.ts";
import { Secret } from "../domain/secret.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { Findings } from "./problem.ts";
import type { RawSubscription } from "./schema.ts";
import { secretFormProblem } from "./secret_form.ts";
import type { SecretReader } from "./secrets.ts";
import type { PartlyValid } from "./shape.ts";
import type { Place } from "./source.ts";

/** What the secrets of a subscription are read with. */
interface Context {
  /** Undefined if it isn't known, because its name or the profile itself is wrong. */
  readonly profile: Profile | undefined;
  readonly secrets: SecretReader;
  readonly now: Instant;
  readonly findings: Findings;
}

/** The secrets that a subscription signs with. `place` and `raw` are those of the subscription. */
export async function readSigningSecrets(
  place: Place,
  raw: PartlyValid<RawSubscription>,
  context: Context,
): Promise<Pick<Subscription, "secret" | "previousSecret">> {
  const secret = await readKey(raw.secret, place.at("secret"), context);
  const until = parseInstant(raw.previousSecret?.until ?? "");
  const previous = await readKey(raw.previousSecret, place.at("previousSecret"), context);
  checkIsThere(place, context);
  checkPrevious(place.at("previousSecret"), until, context);
  return {
    ...(secret && { secret }),
    ...(previous && until !== undefined && { previousSecret: { secret: previous, until } }),
  };
}

async function readKey(
  reference: Parameters<SecretReader["read"]>[0],
  place: Place,
  { profile, secrets, findings }: Context,
): Promise<Secret | undefined> {
  const found = await secrets.read(reference, place);
  if (found === undefined) return undefined;
  if (!(found instanceof Secret)) {
    findings.add(found);
    return undefined;
  }
  const fault = profile && secretFormProblem(found.reveal(), profile);
  if (!fault) return found;
  findings.add(place.problem(fault.message, fault.fix));
  return undefined;
}

function checkIsThere(place: Place, { profile, findings }: Context): void {
  const secret = place.at("secret");
  if (secret.exists) return;
  if (place.at("previousSecret").exists) {
    findings.add(secret.problem(
      "there is a previous secret, but none that follows it",
      'add "secret", or rename "previousSecret"',
    ));
  } else if (profile?.secretRequired) {
    const name = quoted(profile.name);
    findings.warn(secret.problem(
      `without a secret its requests go out unsigned: profile ${name} has receivers check`,
      'name where it is to be found: "secret": {"env": "NAME"}',
    ));
  }
}

function checkPrevious(
  place: Place,
  until: Instant | undefined,
  { profile, now, findings }: Context,
): void {
  if (until !== undefined && until <= now) {
    const message = "the previous secret's time is over: it signs no more";
    findings.warn(place.at("until").problem(message, 'take "previousSecret" out'));
  }
  const signature = profile?.signature;
  if (!place.exists || signature === undefined || signature.separator !== undefined) return;
  findings.warn(place.problem(
    `${quoted(signature.header)} has room for one signature, so only "secret" makes it; ` +
      "the previous one signs in webhook-signature alone",
    "change the receiver's secret and this one at the same time",
  ));
}
