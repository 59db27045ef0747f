import type { Profile } from "../domain/profile.ts";
import { quoted } from "../domain/quoted.ts";
import { BUILT_IN } from "../profiles/table.ts";
import { type RawProfile, rawProfile } from "../profiles/raw_profile.ts";
import { resolveProfile } from "../profiles/resolve_profile.ts";
import { type Findings } from "./problem.ts";
import type { Place } from "./source.ts";
import { suggestion } from "./suggestion.ts";
import { nameFault } from "./value_schemas.ts";

/** Profiles by name. Undefined stands for one that is declared, but wrong. */
export type Profiles = ReadonlyMap<string, Profile | undefined>;

/** The built-in profiles and those of the file. The schema has already checked the latter. */
export function readProfiles(place: Place, findings: Findings): Profiles {
  const profiles = new Map<string, Profile | undefined>(BUILT_IN);
  const own = new Map(place.members());
  for (const [name] of own) {
    const fault = ownNameFault(name);
    if (fault === undefined) continue;
    findings.add(place.problemAtKey(name, fault.message, fault.fix));
    own.delete(name);
  }
  const resolve = (name: string, chain: readonly string[]): Profile | undefined => {
    if (profiles.has(name)) return profiles.get(name);
    const at = own.get(name)!;
    const base = at.at("extends").value();
    if (typeof base === "string" && [...chain, name].includes(base)) {
      findings.add(circle([...chain, name, base], at.at("extends")));
      profiles.set(name, undefined);
    } else if (typeof base === "string" && !profiles.has(base) && !own.has(base)) {
      findings.add(unknownProfile(base, at.at("extends"), [...profiles.keys(), ...own.keys()]));
      profiles.set(name, undefined);
    } else {
      const parent = typeof base === "string" ? resolve(base, [...chain, name]) : undefined;
      const lost = typeof base === "string" && parent === undefined;
      // If the base has failed, that has already been reported.
      const profile = lost ? undefined : readProfile(name, { place: at, base: parent, findings });
      profiles.set(name, profile);
    }
    return profiles.get(name);
  };
  for (const name of own.keys()) resolve(name, []);
  return profiles;
}

function ownNameFault(name: string) {
  if (!BUILT_IN.has(name)) return nameFault(name, "profile's name");
  return {
    message: `the profile ${quoted(name)} is built in`,
    fix: "give yours another name, and extend it where you need to",
  };
}

/** The problem with a name that no profile has. */
export function unknownProfile(name: string, place: Place, known: Iterable<string>) {
  const others = [...known].filter((one) => one !== place.path.at(-2));
  return place.problem(`there is no profile ${quoted(name)}`, suggestion(name, others));
}

function readProfile(
  name: string,
  { place, base, findings }: { place: Place; base: Profile | undefined; findings: Findings },
): Profile | undefined {
  if (!rawProfile.safeParse(place.value()).success) return undefined;
  const json = place.tryJson();
  if (typeof json !== "string") {
    findings.add(json);
    return undefined;
  }
  const raw = place.plainValue() as RawProfile;
  if (raw.signature?.over !== undefined && !raw.signature.over.includes("{body")) {
    const message = "the body is not signed: who changes it on its way goes unnoticed";
    const fix = 'add "{body}", unless the receiver signs without it';
    findings.warn(place.at("signature", "over").problem(message, fix));
  }
  return resolveProfile(name, raw, base, (path) => {
    const at = place.at(...path);
    return at.exists ? at.json() : undefined;
  });
}

function circle(chain: readonly string[], place: Place) {
  const names = chain.slice(chain.indexOf(chain.at(-1)!)).map(quoted).join(" extends ");
  return place.problem(`profiles extend each other: ${names}`, "let one of them extend none");
}
