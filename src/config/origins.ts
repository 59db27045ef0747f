import { BUILT_IN } from "../profiles/table.ts";
import type { Turn } from "../runtime/turn.ts";
import type { ConfigFiles } from "./include.ts";
import type { ConfigMemory } from "./memory.ts";
import { SETTINGS } from "./settings.ts";
import { type Place, readSource } from "./source.ts";

/** Where a value of a subscription comes from. A built-in default has no origin. */
export type Origin =
  | { readonly kind: "file"; readonly file: string; readonly line: number }
  | { readonly kind: "profile"; readonly name: string };

/** Where the values of a subscription come from, by their keys. */
export interface Origins {
  of(key: string): Origin | undefined;
}

/** Resolves to undefined if it can't be found out. */
export type LookUpOrigins = (
  subscription: { readonly id: string; readonly profile: string },
) => Promise<Origins | undefined>;

/** Longer files are not read for one subscription: its page would take too long. */
const MOST_TEXT = 1_000_000;

/**
 * Looks up where the values of a subscription come from, in the files as they are now: its own entry,
 * `delivery` or its profile. Resolves to undefined if a file can't be read any more, or is too long.
 */
export async function readOrigins(
  { id, profile }: { readonly id: string; readonly profile: string },
  { path, turn, ...from }: {
    readonly path: string;
    /** Others need the event loop meanwhile: a long file takes 50 ms. */
    readonly turn: Turn;
    /** That of the config in force, which knows the included file of each subscription. */
    readonly memory: ConfigMemory;
    readonly read: ConfigFiles["read"];
  },
): Promise<Origins | undefined> {
  const rootOf = async (file: string) => {
    const text = await from.read(file).catch(() => "");
    return text.length > MOST_TEXT ? undefined : (await readSource(file, text, turn)).root;
  };
  const root = await rootOf(path);
  if (!root) return undefined;
  const included = from.memory.fileOf(id);
  const place = included === undefined ? root.at("subscriptions") : await rootOf(included);
  const own = place && await entryOf(id, place, turn);
  if (!own) return undefined;
  return {
    of(key) {
      const inConfig = [own.at(key), root.at("delivery", key)];
      const inProfile = isSetting(key) ? [root.at("profiles", profile, key)] : [];
      const found = [...inConfig, ...inProfile].find(({ exists }) => exists);
      if (found) return { kind: "file", file: found.file, line: found.mark().line! };
      return hasDefault(key, profile) ? { kind: "profile", name: profile } : undefined;
    },
  };
}

/** The entry of a subscription: the place itself, or an element of the list there. */
async function entryOf(id: string, place: Place, turn: Turn): Promise<Place | undefined> {
  for (const entry of place.kind === "array" ? place.eachElement() : [place]) {
    if (entry.at("id").value() === id) return entry;
    if (turn.isOver) await turn.rest();
  }
  return undefined;
}

function isSetting(key: string): key is keyof typeof SETTINGS {
  return Object.hasOwn(SETTINGS, key);
}

/** Whether a built-in profile has a default of its own for a key. */
function hasDefault(key: string, name: string): boolean {
  const profile = BUILT_IN.get(name);
  if (profile === undefined || !isSetting(key)) return false;
  return SETTINGS[key].ofProfile?.(profile) !== undefined;
}
