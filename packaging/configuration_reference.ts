/** Generates docs/configuration.md from the config file's schema. */
import { join } from "node:path";
import { configJsonSchema, NOTICE_KINDS } from "../src/config/schema.ts";
import { ROOT } from "./bundle.ts";

/** The page, formatted by `deno fmt`. */
export async function configurationReference(): Promise<string> {
  const root = configJsonSchema() as Schema;
  const named = root.$defs!;
  const delivery = membersOf(root.properties!.delivery!);
  const subscription = membersOf(named.Subscription!);
  const profile = Object.fromEntries(
    membersOf(named.Profile!).map((one) => [one.name, one.schema]),
  );
  const isSetting = ({ name }: Member) => delivery.some((one) => one.name === name);
  const channels = Object.assign(
    {},
    ...named.Notify!.anyOf!.map(({ properties }) => properties),
  ) as Record<string, Schema>;
  return await formatted([
    INTRODUCTION,
    "## `server`",
    tableOf(membersOf(root.properties!.server!)),
    AUTH,
    "### `auth.publishers[]`",
    tableOf(membersOf(named.Publisher!)),
    "### `auth.operators[]`",
    tableOf(membersOf(named.Operator!)),
    "## `storage`",
    tableOf(membersOf(root.properties!.storage!)),
    DELIVERY,
    tableOf(delivery.filter((member) => !subscription.some(({ name }) => name === member.name))),
    SUBSCRIPTIONS,
    tableOf(subscription.filter((member) => !isSetting(member))),
    SETTINGS,
    tableOf(subscription.filter(isSetting)),
    MATCH,
    tableOf(membersOf(named.Operators!)),
    NOTIFY,
    "### `webhook`",
    tableOf(membersOf(channels.webhook!)),
    "### `email`",
    tableOf(membersOf(channels.email!)),
    `### \`command\`\n\n${channels.command!.description}. ${COMMAND}`,
    "### `slack`",
    tableOf(membersOf(channels.slack!)),
    EVENT_TYPES,
    tableOf(membersOf(named.EventType!)),
    PROFILES,
    tableOf(membersOf(named.Profile!)),
    BODY,
    tableOf(membersOf(named.BodyValue!)),
    "### `signature` of a profile",
    tableOf(membersOf(profile.signature!)),
    "### `secret` of a profile",
    tableOf(membersOf(profile.secret!)),
    RETRY,
    tableOf(membersOf(profile.retry!)),
    ADMISSION,
    tableOf(membersOf(profile.admission!.items!)),
    `## \`include\`\n\n${root.properties!.include!.description}. ${INCLUDE}`,
    RELOAD,
  ].join("\n\n"));
}

/** The parts of JSON Schema that this page needs. */
interface Schema {
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

interface Member {
  readonly name: string;
  readonly schema: Schema;
  readonly isRequired: boolean;
}

/** The members of an object, or of the only alternative that is an object. */
function membersOf(schema: Schema): Member[] {
  const object = schema.properties ? schema : schema.anyOf?.find(({ properties }) => properties);
  return Object.entries(object?.properties ?? {}).map(([name, member]) => ({
    name,
    schema: member,
    isRequired: object?.required?.includes(name) ?? false,
  }));
}

/** A table of keys. It has a column of defaults only if there are any. */
function tableOf(members: readonly Member[]): string {
  const hasDefaults = members.some(({ schema }) => schema.default !== undefined);
  const heading = ["key", "value", ...(hasDefaults ? ["default"] : []), "meaning"];
  const rows = members.map(({ name, schema, isRequired }) => [
    `\`${name}\`${isRequired ? " (required)" : ""}`,
    SPOKEN_KINDS[name] ?? kindOf(schema),
    ...(hasDefaults ? [schema.default === undefined ? "" : code(schema.default)] : []),
    meaningOf(schema),
  ]);
  return [heading, heading.map(() => "---"), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
    .join("\n");
}

function meaningOf({ description = "", examples, default: preset }: Schema): string {
  const [example] = examples ?? [];
  const shown = example === undefined || JSON.stringify(example) === JSON.stringify(preset)
    ? ""
    : `, as in ${code(example)}`;
  return description + shown;
}

function code(value: unknown): string {
  return `\`${JSON.stringify(value)}\``;
}

/** Describes the type of a key's value. */
function kindOf(schema: Schema): string {
  if (schema.$ref !== undefined) return KINDS[schema.$ref.replace("#/$defs/", "")]!;
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum) return schema.enum.map(code).join(", ");
  if (schema.anyOf) return either(schema.anyOf);
  if (schema.items) {
    const most = schema.maxItems === undefined ? "" : `, at most ${schema.maxItems}`;
    return `list of ${plural(kindOf(schema.items))}${most}`;
  }
  if (schema.pattern?.includes("KiB")) return "size";
  if (schema.pattern?.includes("(ms|s|m|h|d)")) return "duration";
  if (schema.pattern?.includes("[smhd]")) return "rate";
  if (schema.format === "date-time") return "instant";
  if (typeof schema.additionalProperties === "object") {
    const kind = kindOf(schema.additionalProperties);
    return kind === "any JSON" ? "object" : `object of ${plural(kind)}`;
  }
  return plainKind(schema);
}

const KINDS: Readonly<Record<string, string>> = {
  Duration: "duration",
  Deadline: "duration, above zero",
  Reference: "[reference](#secrets)",
  Scope: "object of scalars, or lists of them",
  Operators: "object of [operators](#match)",
  Publisher: "[publisher](#authpublishers)",
  Operator: "[operator](#authoperators)",
  BodyValue: "[body value](#body-of-a-profile)",
};

/** Descriptions to use where the schema's alternatives say too little. */
const SPOKEN_KINDS: Readonly<Record<string, string>> = {
  previousSecret: "[reference](#secrets), and `until`: an instant",
  match: "object of scalars, [operators](#match), or lists of them",
};

/** Merges alternatives that have the same description. */
function either(alternatives: readonly Schema[]): string {
  const kinds = alternatives.map((one) => isReference(one) ? KINDS.Reference! : kindOf(one));
  return [...new Set(kinds)].join(" or ");
}

function isReference({ properties }: Schema): boolean {
  const names = Object.keys(properties ?? {});
  return names.length === 1 && ["env", "file", "credential"].includes(names[0]!);
}

function plainKind({ type, minimum, maximum, maxLength }: Schema): string {
  if (type === undefined) return "any JSON";
  if (typeof type !== "string") {
    return type.length === 4 ? "scalar" : type.map(wordFor).join(" or ");
  }
  const range = minimum === undefined || maximum === undefined ? "" : `, ${minimum} to ${maximum}`;
  const most = maxLength === undefined ? "" : `, at most ${maxLength} characters`;
  return `${wordFor(type)}${range}${most}`;
}

function wordFor(type: string): string {
  return WORDS[type] ?? type;
}

const WORDS: Readonly<Record<string, string>> = {
  string: "text",
  integer: "whole number",
  boolean: "true or false",
  array: "list",
};

function plural(kind: string): string {
  if (kind.startsWith("[")) return kind.replace("]", "s]");
  if (kind.startsWith("list ")) return kind.replace("list", "lists");
  return /^(text|duration|scalar|object)$/.test(kind) ? `${kind}s` : kind;
}

/** Formats with `deno fmt`: aligned tables, lines of 100 characters. */
async function formatted(text: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--config", join(ROOT, "deno.json"), "--ext", "md", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`${text}\n`));
  await writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error("the page could not be formatted");
  return new TextDecoder().decode(stdout);
}

const INTRODUCTION = `# The config file

<!-- Made by packaging/configuration_reference.ts; change it there, or in src/config/. -->

This page lists every key. It is made from the schema that the file is checked against.
[config.example.json](../config.example.json) uses all of them; \`bellhook init\` writes a small file to
start from.

The config is one JSON file. Comments and trailing commas are allowed, unknown keys are errors. With
\`"$schema": "./config.schema.json"\`, editors complete its keys; \`bellhook schema\` prints that file.
Commands use the file that \`-c\` names, or else \`$BELLHOOK_CONFIG\`, or else \`config.json\` in the
working directory.

\`\`\`sh
bellhook check     # all problems at once, each with line, path and fix
bellhook diff      # what a reload would change in the running daemon
bellhook reload    # applies the file atomically; a bad one changes nothing
\`\`\`

How values are written:

| kind | as in |
| --- | --- |
| duration | \`"500ms"\`, \`"30s"\`, \`"5m"\`, \`"2h"\`, \`"30d"\`; at most ten years |
| size | \`"512B"\`, \`"64KiB"\`, \`"1MiB"\`; at most \`"256MiB"\` |
| rate | \`"10/s"\`, \`"600/m"\`, \`"1000/h"\`, \`"5000/d"\` |
| instant | \`"2026-01-31T12:00:00Z"\` (RFC 3339) |
| pattern | \`"booking.*"\`: \`*\` matches any characters, everything else matches itself |
| scalar | a text, a number, true, false or null |

## Secrets

A secret is never written into the file: that is an error. The file says where to find it, in one of
these ways:

| reference | the secret is |
| --- | --- |
| \`{"env": "NAME"}\` | the value of an environment variable of the daemon |
| \`{"file": "/run/secrets/name"}\` | the content of a file, without line ends at its end; the path is relative to the config file |
| \`{"credential": "name"}\` | a credential from systemd (\`LoadCredential=\`) |

A secret that can't be found is an error. \`bellhook secret --profile NAME\` makes a secret in
a profile's form.`;

const AUTH = `## \`auth\`

Who may call, with \`Authorization: Bearer TOKEN\`. Without this block, the daemon serves anybody on
this machine and nobody else: \`server.listen\` must be loopback or a socket, and requests with
another \`Host\` or \`Origin\` are refused.`;

const DELIVERY = `## \`delivery\`

The defaults of all subscriptions: every [setting](#settings) may be given here. A subscription's own
value comes first, then this block, then the profile's default, then the built-in one. So a \`timeout\` or
a \`retry\` here also applies to the platforms' profiles. One more key is:`;

const SUBSCRIPTIONS = `## \`subscriptions[]\`

Who wants events, and where they go.`;

const SETTINGS = `### Settings

A subscription may give these for itself, and \`delivery\` for all. If neither does, and there is no
default in this table, the profile's default applies.`;

const MATCH = `## \`match\`

Maps dotted paths into the event's data to the values that are wanted there: a scalar, an object of
operators, or a list of these, one of which must hold. The conditions of all paths must hold. For a
list in the data, it is enough if one of its elements matches. Numbers are compared exactly, however
many digits they have. Texts are compared as texts, which works for ISO dates.

\`\`\`jsonc
"subscriptions": [
  {
    "id": "accounting",
    "url": "https://accounting.example.com/webhooks",
    "events": ["booking.*"],
    "secret": { "env": "ACCOUNTING_SECRET" },
    "match": {
      "status": ["CONFIRMED", { "prefix": "CANCELLED" }],
      "total": [{ ">=": 1000, "<": 1000000 }],
      "guest.email": [{ "exists": true }]
    }
  }
]
\`\`\`

All operators in one object must hold:`;

const NOTIFY = `## \`notify[]\`

Where operators are notified of trouble. Each entry is one channel: a \`webhook\`, an \`email\`, a
\`command\` or a \`slack\` channel, and beside it \`on\`, the kinds of notice that it gets:
${NOTICE_KINDS.map((kind) => `\`${kind}\``).join(", ")}. Without \`on\`, it gets all but
\`delivery.exhausted\`. [What they say](operations.md#notices).`;

const COMMAND =
  "It may take 30 seconds. Of the daemon's environment it gets only `PATH` and the like.";

const EVENT_TYPES = `## \`eventTypes\`

The catalogue of the publisher's event types, by name. If there is one, an event of another type is
refused with 422, and a subscription to such a type is an error.`;

const PROFILES = `## \`profiles\`

Your own wire formats by name, described like the built-in ones ([how](profiles.md#your-own)). If a
profile extends another, each of its keys replaces the other's as a whole; of \`secret\`, each of the
two keys does. The defaults are: the default retry schedule, a deadline of 30 s, success by 2xx, https,
a secret of either form, Standard Webhooks headers.`;

const BODY = `### \`body\` of a profile

The members of the body in their order. Each has one of \`from\`, \`value\` and \`members\`.`;

const RETRY = `### \`retry\` of a profile

A list of waits, or an object:`;

const ADMISSION = `### \`admission\` of a profile

Rules that hold events back from a subscription; each is either \`{"permission": true}\` or a pair of
\`when\` and \`require\`. \`bellhook match\` says which rule held an event back.`;

const INCLUDE =
  "So a script or the application can keep one file for each customer, and reload. Problems name " +
  "the file. An id that is used twice is a problem.";

const RELOAD = `## What a reload changes

Everything but \`server.listen\`, \`server.socketMode\`, \`server.socketGroup\` and \`storage.url\`, which
need a restart: sockets and the database are opened once. Deliveries keep the body that they were
accepted with. Each attempt uses the URL, secret, headers and settings of its time. If a subscription is
removed from the file, its deliveries are held until it comes back or an operator cancels them.`;

if (import.meta.main) {
  const path = join(ROOT, "docs", "configuration.md");
  await Deno.writeTextFile(path, await configurationReference());
  console.log(path);
}
