import type { Channel, NoticeChannel } from "../domain/notice.ts";
import { Secret } from "../domain/secret.ts";
import type { Problem } from "./config.ts";
import type { Findings } from "./problem.ts";
import { type Allowed, receiverUrlProblem } from "./receiver_url.ts";
import { DEFAULT_NOTICES, type RawConfig } from "./schema.ts";
import { secretFormProblem } from "./secret_form.ts";
import type { SecretReader } from "./secrets.ts";
import type { PartlyValid } from "./shape.ts";
import type { Place } from "./source.ts";

type Channels = NonNullable<PartlyValid<RawConfig>["notify"]>;
type ChannelWords = Exclude<Channels[number], undefined>;
type Words<Name extends Channel["kind"]> =
  Extract<ChannelWords, { readonly [_ in Name]?: unknown }> extends
    { readonly [_ in Name]?: infer Words } ? Words : never;

interface Surroundings {
  /** The `delivery` block: notices go where its defaults let requests go. */
  readonly defaults: NonNullable<PartlyValid<RawConfig>["delivery"]>;
  readonly secrets: SecretReader;
  readonly findings: Findings;
}

/** Reads each kind of channel. Returns undefined if the channel is invalid, and reports why. */
const READERS: {
  readonly [Kind in Channel["kind"]]: (
    place: Place,
    words: Words<Kind>,
    surroundings: Surroundings,
  ) => Promise<Channel & { kind: Kind } | undefined>;
} = { webhook: readWebhook, email: readMail, command: readCommand, slack: readSlack };

/** The channels for notices. Invalid ones are reported, and left out. */
export async function readNotices(
  place: Place,
  words: Channels,
  surroundings: Surroundings,
): Promise<NoticeChannel[]> {
  const channels: NoticeChannel[] = [];
  for (const [index, given] of words.entries()) {
    const at = place.at(index);
    const kind = KINDS.find((one) => at.at(one).exists);
    if (!given || kind === undefined) continue;
    const on = given.on?.filter((kind) => kind !== undefined) ?? [...DEFAULT_NOTICES];
    const channel = await readChannel(kind, { at: at.at(kind), given, surroundings });
    if (channel) channels.push({ on: [...new Set(on)], ...channel });
  }
  return channels;
}

const KINDS = Object.keys(READERS) as Channel["kind"][];

function readChannel<Kind extends Channel["kind"]>(
  kind: Kind,
  { at, given, surroundings }: { at: Place; given: ChannelWords; surroundings: Surroundings },
): Promise<Channel | undefined> {
  return READERS[kind](at, (given as Record<Kind, Words<Kind>>)[kind], surroundings);
}

function readCommand(
  place: Place,
  words: Words<"command">,
  { findings }: Surroundings,
): Promise<Channel & { kind: "command" }> {
  const command = words?.filter((word) => word !== undefined) ?? [];
  if (command[0] === "") {
    const problem = place.at(0).problem("the program has no name", "give the path of a program");
    findings.add(problem);
  }
  return Promise.resolve({ kind: "command", command });
}

async function readWebhook(
  place: Place,
  words: Words<"webhook">,
  { defaults, secrets, findings }: Surroundings,
): Promise<Channel & { kind: "webhook" } | undefined> {
  const allowed = allowedBy(defaults);
  if (words?.url !== undefined) {
    addFound(receiverUrlProblem(words.url, allowed, place.at("url")), findings);
  }
  const secret = await secrets.read(words?.secret, place.at("secret"));
  if (!(secret instanceof Secret)) {
    addFound(secret, findings);
    return undefined;
  }
  const fault = secretFormProblem(secret.reveal(), { secretForm: "standard" });
  if (fault) findings.add(place.at("secret").problem(fault.message, fault.fix));
  return words?.url === undefined
    ? undefined
    : { kind: "webhook", url: words.url, secret, allowNetworks: allowed.networks };
}

async function readSlack(
  place: Place,
  words: Words<"slack">,
  { defaults, secrets, findings }: Surroundings,
): Promise<Channel & { kind: "slack" } | undefined> {
  const url = await secrets.read(words?.url, place.at("url"));
  if (!(url instanceof Secret)) {
    addFound(url, findings);
    return undefined;
  }
  const allowed = allowedBy(defaults);
  const problem = receiverUrlProblem(url.reveal(), allowed, place.at("url"));
  addFound(problem, findings);
  return problem ? undefined : { kind: "slack", url, allowNetworks: allowed.networks };
}

function allowedBy(defaults: Surroundings["defaults"]): Allowed {
  return {
    http: defaults.allowHttp ?? false,
    networks: (defaults.allowNetworks ?? []).filter((network) => network !== undefined),
    where: ' in "delivery"',
  };
}

async function readMail(
  place: Place,
  words: Words<"email">,
  { secrets, findings }: Surroundings,
): Promise<Channel & { kind: "email" } | undefined> {
  if (words?.smtp !== undefined) {
    addFound(smtpProblem(words.smtp, place.at("smtp"), place.at("password").exists), findings);
  }
  const password = await secrets.read(words?.password, place.at("password"));
  if (password !== undefined && !(password instanceof Secret)) findings.add(password);
  if (words?.smtp === undefined || words.from === undefined) return undefined;
  return {
    kind: "email",
    smtp: words.smtp,
    ...(password instanceof Secret && { password }),
    from: words.from,
    to: (words.to ?? []).filter((address) => address !== undefined),
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
