import { Secret } from "../domain/secret.ts";
import type { NoticeChannel } from "../domain/notice.ts";
import type { Problem } from "./config.ts";
import type { Findings } from "./problem.ts";
import { receiverUrlProblem } from "./receiver_url.ts";
import { type ConfigWords, NOTICE_KINDS } from "./schema.ts";
import { secretFormProblem } from "./secret_form.ts";
import type { SecretReader } from "./secrets.ts";
import type { Sound } from "./shape.ts";
import type { Place } from "./source.ts";

type Channels = NonNullable<Sound<ConfigWords>["notify"]>;
type Channel = Exclude<Channels[number], undefined>;
type Words<Name extends string> = Extract<Channel, { readonly [_ in Name]?: unknown }>;

interface Surroundings {
  /** The `delivery` block: notices go where its defaults let requests go. */
  readonly defaults: NonNullable<Sound<ConfigWords>["delivery"]>;
  readonly secrets: SecretReader;
  readonly findings: Findings;
}

/** Where notices go; channels that are not sound are left out, and found. */
export async function readNotices(
  place: Place,
  words: Channels,
  surroundings: Surroundings,
): Promise<NoticeChannel[]> {
  const channels: NoticeChannel[] = [];
  for (const [index, channel] of words.entries()) {
    if (!channel) continue;
    const at = place.at(index);
    const on = channel.on?.filter((kind) => kind !== undefined) ?? [...NOTICE_KINDS];
    const way = await readWay(at, channel, surroundings);
    if (way) channels.push({ on: [...new Set(on)], ...way });
  }
  return channels;
}

type Way<Kind> = Kind extends { readonly kind: unknown } ? Omit<Kind, "on"> : never;

function readWay(
  place: Place,
  channel: Channel,
  surroundings: Surroundings,
): Promise<Way<NoticeChannel> | undefined> {
  if (place.at("webhook").exists) {
    return readWebhook(place.at("webhook"), (channel as Words<"webhook">).webhook, surroundings);
  }
  if (place.at("email").exists) {
    return readMail(place.at("email"), (channel as Words<"email">).email, surroundings);
  }
  const command = (channel as Words<"command">).command?.filter((word) => word !== undefined) ?? [];
  if (place.at("command").exists && command[0] === "") {
    const at = place.at("command", 0);
    surroundings.findings.add(at.problem("the program has no name", "give the path of a program"));
  }
  return Promise.resolve({ kind: "command", command });
}

async function readWebhook(
  place: Place,
  words: Words<"webhook">["webhook"],
  { defaults, secrets, findings }: Surroundings,
): Promise<Way<Extract<NoticeChannel, { kind: "webhook" }>> | undefined> {
  const allowNetworks = (defaults.allowNetworks ?? []).filter((network) => network !== undefined);
  if (words?.url !== undefined) {
    const allowed = {
      http: defaults.allowHttp ?? false,
      networks: allowNetworks,
      where: ' in "delivery"',
    };
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
    : { kind: "webhook", url: words.url, secret, allowNetworks };
}

async function readMail(
  place: Place,
  words: Words<"email">["email"],
  { secrets, findings }: Surroundings,
): Promise<Way<Extract<NoticeChannel, { kind: "email" }>> | undefined> {
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
