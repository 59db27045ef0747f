import { BUILT_IN } from "../profiles/table.ts";
import type { ConfigFiles } from "./include.ts";
import type { ConfigMemory } from "./memory.ts";
import { SETTINGS } from "./settings.ts";
import { parseSource, type Place } from "./source.ts";

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

/** Longer files are not read for one subscription, because that would block the event loop. */
const MOST_TEXT = 1_000_000;

/**
 * Looks up where the values of a subscription come from, in the files as they are now: its own entry,
 * `delivery` or its profile. Resolves to undefined if a file can't be read any more, or is too long.
 */
export async function readOrigins(
  { id, profile }: { readonly id: string; readonly profile: string },
  { path, memory, read }: {
    readonly path: string;
    /** That of the config in force, which knows the included file of each subscription. */
    readonly memory: ConfigMemory;
    readonly read: ConfigFiles["read"];
  },
): Promise<Origins | undefined> {
  const root = await rootOf(path, read);
  if (!root) return undefined;
  const included = memory.fileOf(id);
  const place = included === undefined ? root.at("subscriptions") : await rootOf(included, read);
  const entries = place?.kind === "object" ? [place] : place?.elements() ?? [];
  const own = entries.find((entry) => entry.at("id").value() === id);
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

async function rootOf(path: string, read: ConfigFiles["read"]): Promise<Place | undefined> {
  const text = await read(path).catch(() => "");
  return text.length > MOST_TEXT ? undefined : parseSource(path, text).root;
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
