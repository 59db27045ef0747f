import type { Channel, NoticeChannel } from "../domain/notice.ts";
import { Secret } from "../domain/secret.ts";
import type { Problem } from "./config.ts";
import type { Findings } from "./problem.ts";
import { type Allowed, receiverUrlProblem } from "./receiver_url.ts";
import { DEFAULT_NOTICES, type RawConfig } from "./schema.ts";
import { secretFormProblem } from "./secret_form.ts";
import type { SecretReader } from "./secrets.ts";
import { settingsOf } from "./settings.ts";
import type { PartlyValid } from "./shape.ts";
import type { Place } from "./source.ts";

type RawChannels = NonNullable<PartlyValid<RawConfig>["notify"]>;
type RawChannel = Exclude<RawChannels[number], undefined>;
type Raw<Name extends Channel["kind"]> =
  Extract<RawChannel, { readonly [_ in Name]?: unknown }> extends
    { readonly [_ in Name]?: infer Raw } ? Raw : never;

interface Context {
  /** The `delivery` block. Notices may go where it lets requests go. */
  readonly delivery: NonNullable<PartlyValid<RawConfig>["delivery"]>;
  readonly secrets: SecretReader;
  readonly findings: Findings;
}

/** Reads each kind of channel. Returns undefined if the channel is invalid, and reports why. */
const READERS: {
  readonly [Kind in Channel["kind"]]: (
    place: Place,
    raw: Raw<Kind>,
    context: Context,
  ) => Promise<Channel & { kind: Kind } | undefined>;
} = { webhook: readWebhook, email: readMail, command: readCommand, slack: readSlack };

/** The channels for notices. Invalid ones are reported, and left out. */
export async function readNotices(
  place: Place,
  raw: RawChannels,
  context: Context,
): Promise<NoticeChannel[]> {
  const channels: NoticeChannel[] = [];
  for (const [index, given] of raw.entries()) {
    const at = place.at(index);
    const kind = KINDS.find((one) => at.at(one).exists);
    if (!given || kind === undefined) continue;
    const on = given.on?.filter((kind) => kind !== undefined) ?? [...DEFAULT_NOTICES];
    const channel = await readChannel(kind, { at: at.at(kind), given, context });
    if (channel) channels.push({ on: [...new Set(on)], ...channel });
  }
  return channels;
}

const KINDS = Object.keys(READERS) as Channel["kind"][];

function readChannel<Kind extends Channel["kind"]>(
  kind: Kind,
  { at, given, context }: { at: Place; given: RawChannel; context: Context },
): Promise<Channel | undefined> {
  return READERS[kind](at, (given as Record<Kind, Raw<Kind>>)[kind], context);
}

function readCommand(
  place: Place,
  raw: Raw<"command">,
  { findings }: Context,
): Promise<Channel & { kind: "command" }> {
  const command = raw?.filter((one) => one !== undefined) ?? [];
  if (command[0] === "") {
    const problem = place.at(0).problem("the program has no name", "give the path of a program");
    findings.add(problem);
  }
  return Promise.resolve({ kind: "command", command });
}

async function readWebhook(
  place: Place,
  raw: Raw<"webhook">,
  { delivery, secrets, findings }: Context,
): Promise<Channel & { kind: "webhook" } | undefined> {
  const allowed = allowedBy(delivery);
  if (raw?.url !== undefined) {
    addFound(receiverUrlProblem(raw.url, allowed, place.at("url")), findings);
  }
  const secret = await secrets.read(raw?.secret, place.at("secret"));
  if (!(secret instanceof Secret)) {
    addFound(secret, findings);
    return undefined;
  }
  const fault = secretFormProblem(secret.reveal(), { secretForm: "standard" });
  if (fault) findings.add(place.at("secret").problem(fault.message, fault.fix));
  return raw?.url === undefined
    ? undefined
    : { kind: "webhook", url: raw.url, secret, allowNetworks: allowed.networks };
}

async function readSlack(
  place: Place,
  raw: Raw<"slack">,
  { delivery, secrets, findings }: Context,
): Promise<Channel & { kind: "slack" } | undefined> {
  const url = await secrets.read(raw?.url, place.at("url"));
  if (!(url instanceof Secret)) {
    addFound(url, findings);
    return undefined;
  }
  const allowed = allowedBy(delivery);
  const problem = receiverUrlProblem(url.reveal(), allowed, place.at("url"));
  addFound(problem, findings);
  return problem ? undefined : { kind: "slack", url, allowNetworks: allowed.networks };
}

function allowedBy(delivery: Context["delivery"]): Allowed {
  const { allowHttp, allowNetworks } = settingsOf({ delivery });
  return { http: allowHttp, networks: allowNetworks, where: ' in "delivery"' };
}

async function readMail(
  place: Place,
  raw: Raw<"email">,
  { secrets, findings }: Context,
): Promise<Channel & { kind: "email" } | undefined> {
  if (raw?.smtp !== undefined) {
    addFound(smtpProblem(raw.smtp, place.at("smtp"), place.at("password").exists), findings);
  }
  const password = await secrets.read(raw?.password, place.at("password"));
  if (password !== undefined && !(password instanceof Secret)) findings.add(password);
  if (raw?.smtp === undefined || raw.from === undefined) return undefined;
  return {
    kind: "email",
    smtp: raw.smtp,
    ...(password instanceof Secret && { password }),
    from: raw.from,
    to: (raw.to ?? []).filter((address) => address !== undefined),
  };
}

function smtpProblem(text: string, place: Place, hasPassword: boolean): Problem | undefined {
  const url = URL.parse(text);
  const wellMade = url !== null && !/\s/.test(text) && url.hostname !== "" &&
    (url.protocol === "smtp:" || url.protocol === "smtps:") &&
    (url.pathname === "" || url.pathname === "/") && url.search === "" && url.hash === "" &&
    isDecodable(url.username);
  if (!wellMade) {
    return place.problem(
      "the text is no address of a mail server",
      'write it as "smtp://user@host:587" or "smtps://user@host:465"',
    );
  }
  if (url.password !== "") {
    const fix = 'take it out of the URL and write "password": {"env": "NAME"}';
    return place.problem("a secret is written into the file", fix);
  }
  return hasPassword && url.username === ""
    ? place.problem(
      "there is a password, but the URL names no user",
      'write "smtp://user@host:587"',
    )
    : undefined;
}

/** Whether its "%" are those of a URL. */
function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function addFound(problem: Problem | undefined, findings: Findings): void {
  if (problem !== undefined) findings.add(problem);
}
