import { dirname, relative } from "node:path";
import type { Origin, Origins } from "../../config/origins.ts";
import type { Subscription } from "../../domain/subscription.ts";
import { settingsView } from "../views.ts";
import { visible } from "./words.ts";

/** What a subscription goes by, and where each value comes from. */
export function SubscriptionSettings(
  { subscription, origins, path }: {
    readonly subscription: Subscription;
    /** Undefined where they can't be found out. */
    readonly origins: Origins | undefined;
    /** The config file's. */
    readonly path: string;
  },
) {
  const settings = Object.entries({ ...identityOf(subscription), ...settingsView(subscription) });
  return (
    <>
      <h2>Config</h2>
      <p class="muted">
        {origins
          ? "What is in force, and where it comes from, as the files are now."
          : "What is in force. Where it stands in the files can't be looked up now."}{" "}
        It is changed there, and put in force by a reload.
      </p>
      <dl class="origins">
        {settings.map(([name, value]) => (
          <div>
            <dt>{NAMES.get(name) ?? name}</dt>
            <dd>
              <code>{name === "hasSecret" ? secretText(value) : visible(textOf(value))}</code>
            </dd>
            {origins && <dd class="muted">{wordsOf(origins.of(KEYS.get(name) ?? name), path)}</dd>}
          </div>
        ))}
      </dl>
    </>
  );
}

function identityOf({ url, profile, events, enabled }: Subscription) {
  return { url, profile: profile.name, events: events.map(({ text }) => text), enabled };
}

/** The config's key for a name in the view. */
const KEYS = new Map([["hasSecret", "secret"], ["previousSecretUntil", "previousSecret"]]);
/** What is shown in place of a name in the view. */
const NAMES = new Map([["hasSecret", "secret"], ["previousSecretUntil", "previousSecret until"]]);

/** Of a secret only whether there is one. */
function secretText(isThere: unknown): string {
  return isThere ? "[redacted]" : "none";
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join(", ") || "none";
  if (typeof value === "object" && value !== null) {
    return Object.keys(value).length === 0 ? "none" : JSON.stringify(value);
  }
  return String(value);
}

function wordsOf(origin: Origin | undefined, path: string): string {
  if (!origin) return "default";
  if (origin.kind === "profile") return `profile ${visible(origin.name)}`;
  return `${visible(relative(dirname(path), origin.file))}:${origin.line}`;
}
