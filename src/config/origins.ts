import { BUILT_IN } from "../profiles/table.ts";
import type { ConfigFiles } from "./include.ts";
import type { ConfigMemory } from "./memory.ts";
import { parseSource, type Place } from "./source.ts";

/** Where a setting of a subscription stands; undefined where it is built in. */
export type Origin =
  | { readonly kind: "file"; readonly file: string; readonly line: number }
  | { readonly kind: "profile"; readonly name: string };

/** Where the settings of a subscription stand, by their keys. */
export interface Origins {
  of(key: string): Origin | undefined;
}

/** Undefined where it can't be found out. */
export type LookUpOrigins = (
  subscription: { readonly id: string; readonly profile: string },
) => Promise<Origins | undefined>;

/** Files beyond this are not looked through for one subscription: reading one holds the loop. */
const MOST_TEXT = 1_000_000;

/** What a profile says if the config does not. */
const OF_PROFILE: ReadonlySet<string> = new Set([
  "timeout",
  "retry",
  "success",
  "waitForConfirmation",
]);

/**
 * Looks up where a subscription's settings stand in the config as its files are now: in its own entry,
 * in `delivery`, in its profile. Undefined where that can't be found out: a file can't be read any more,
 * or is too long to be looked through for it.
 */
export async function readOrigins(
  { id, profile }: { readonly id: string; readonly profile: string },
  { path, memory, read }: {
    readonly path: string;
    /** Of the config in force: it knows which included file a subscription is in. */
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
      const inProfile = OF_PROFILE.has(key) ? [root.at("profiles", profile, key)] : [];
      const found = [...inConfig, ...inProfile].find(({ exists }) => exists);
      if (found) return { kind: "file", file: found.file, line: found.mark().line! };
      return OF_PROFILE.has(key) && BUILT_IN.has(profile)
        ? { kind: "profile", name: profile }
        : undefined;
    },
  };
}

async function rootOf(path: string, read: ConfigFiles["read"]): Promise<Place | undefined> {
  const text = await read(path).catch(() => "");
  return text.length > MOST_TEXT ? undefined : parseSource(path, text).root;
}
