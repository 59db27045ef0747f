import { type Command, Option } from "commander";
import type { Event } from "../domain/event.ts";
import type { Instant } from "../domain/instant.ts";
import { matches, receiverName, type Subscription } from "../domain/subscription.ts";
import { parseEvents, type PostedEvent } from "../ingest/posted_event.ts";
import { typeIn } from "../profiles/mistakes/scheme.ts";
import { formatOf, renderBody } from "../profiles/render.ts";
import { headersFor, redact } from "../profiles/sign.ts";
import { systemClock } from "../runtime/clock.ts";
import { systemRandom } from "../runtime/random.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import type { GlobalOptions, Shell } from "./shell.ts";
import { addSignerOptions, bytesAt, settingOf, signerOf, type SignerOptions } from "./signer.ts";

interface SignOptions extends SignerOptions {
  readonly event?: string;
  readonly body?: string;
  readonly id?: string;
  readonly setting?: readonly string[];
}

/** `bellhook sign`: what Bellhook would send, without sending it. */
export function addSign(program: Command, shell: Shell): void {
  const command = program.command("sign")
    .description("print what would be sent: headers and body of an event, or headers of a body")
    .option("--event <file>", "an event as it is posted, or - for standard input")
    .option("--body <file>", "a body to sign as it is, byte for byte, or -")
    .option("--id <id>", "the event's id, where it has none")
    .addOption(
      new Option("--setting <name=value...>", "a setting that the profile's body takes"),
    );
  addSignerOptions(command, { at: "the instant of the attempt, as RFC 3339 (default: now)" })
    .addHelpText("after", EXAMPLES)
    .action(shell.does<SignOptions>(async (options) => {
      const settings = new Map((options.setting ?? []).map(settingOf));
      const subscription = await signerOf(options, shell.terminal, { settings });
      const { secret, profile } = subscription;
      if (secret === undefined && profile.secretRequired) {
        throw new CommandError(
          EXIT.notValid,
          `profile "${profile.name}" signs: name the variable with its secret by --secret-env, ` +
            "or a subscription by --subscription",
        );
      }
      const at = options.at ?? systemClock.wall();
      const { event, body, bodyGiven } = await signableOf(options, { shell, subscription, at });
      const headers = redact(signed(() => headersFor({ subscription, event, body, at })));
      print({ headers, body, bodyGiven }, { shell, options });
      return EXIT.done;
    }));
}

interface Around {
  readonly shell: Shell;
  readonly subscription: Subscription;
  readonly at: Instant;
}

interface Signable {
  readonly event: Event;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Whether the body was given as it is, not made from an event. */
  readonly bodyGiven: boolean;
}

async function signableOf(options: SignOptions, around: Around): Promise<Signable> {
  const { shell, subscription, at } = around;
  if ((options.event === undefined) === (options.body === undefined)) {
    throw new CommandError(EXIT.notValid, "give either an event by --event or a body by --body");
  }
  const id = options.id ?? `evt_${systemRandom().ulid(at)}`;
  if (options.body !== undefined) {
    const body = await bytesAt(options.body, shell.terminal);
    const type = typeIn(subscription.profile.body, new TextDecoder().decode(body)) ?? "";
    const event = { id, type, occurredAt: at, scope: new Map(), data: "null" };
    return { event, body, bodyGiven: true };
  }
  const posted = postedIn(new TextDecoder().decode(await bytesAt(options.event!, shell.terminal)));
  const event = { id, ...posted, occurredAt: posted.occurredAt ?? at };
  warn(event, options, around);
  return { event, body: bodyOf(event, subscription), bodyGiven: false };
}

function postedIn(text: string): PostedEvent {
  const parsed = parseEvents(text, "events");
  if (parsed.kind === "malformed") {
    throw new CommandError(EXIT.notValid, `the event is no JSON: ${parsed.message}`);
  }
  if (parsed.kind === "invalid") {
    const faults = parsed.faults.map(({ path, message }) =>
      path === "" ? `\n  ${message}` : `\n  ${path}: ${message}`
    );
    throw new CommandError(EXIT.notValid, `the event is not valid${faults.join("")}`);
  }
  if (parsed.isArray) {
    throw new CommandError(EXIT.notValid, "an array of events was given; sign one at a time");
  }
  return parsed.events[0]!;
}

/** Says where such an event would not be sent at all. */
function warn(event: Event, options: SignOptions, { shell, subscription }: Around): void {
  const { profile } = subscription;
  if (options.subscription !== undefined) {
    const match = matches(subscription, event);
    if (!match.matches) shell.say(`this subscription would not get the event: ${match.why}`);
    return;
  }
  const name = receiverName(subscription, event.type);
  if (profile.events && !profile.events.some((known) => known.matches(name))) {
    shell.say(`profile "${profile.name}" has no event "${name}"; Bellhook would not send it`);
  }
}

function bodyOf(event: Event, subscription: Subscription): Uint8Array<ArrayBuffer> {
  const { profile, settings } = subscription;
  const missing = profile.requiredSettings.filter((name) => !settings.has(name));
  if (missing.length > 0) {
    throw new CommandError(
      EXIT.notValid,
      `profile "${profile.name}" needs ${missing.map((name) => `--setting ${name}=…`).join(" ")}`,
    );
  }
  return new TextEncoder().encode(renderBody(formatOf(subscription), event));
}

/** What can't be signed is told as a fault of what was given: a secret's form, a body's. */
function signed<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new CommandError(EXIT.notValid, `can't sign this: ${(error as Error).message}`);
  }
}

interface Signed {
  readonly headers: ReturnType<typeof redact>;
  readonly body: Uint8Array;
  readonly bodyGiven: boolean;
}

function print(
  { headers, body, bodyGiven }: Signed,
  { shell, options }: { shell: Shell; options: GlobalOptions },
): void {
  if (options.json) {
    const object = { headers: Object.fromEntries(headers), body: new TextDecoder().decode(body) };
    return shell.print(JSON.stringify(object));
  }
  for (const [name, value] of headers) shell.print(`${name}: ${value}`);
  if (bodyGiven) return;
  // No line end after the body: it would be one byte more than was signed.
  shell.print("");
  shell.terminal.stdout(new TextDecoder().decode(body));
}

const EXAMPLES = `
Examples:
  $ bellhook sign --profile roostsync --secret-env ROOSTSYNC_SECRET --event event.json
  $ bellhook sign --subscription guests -c config.json --event - < event.json
  $ bellhook sign --profile bookingsync --secret-env S --body captured.json
  $ bellhook sign --secret-env S --event event.json | bellhook verify --secret-env S --request -
`;
