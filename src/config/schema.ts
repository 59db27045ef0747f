/**
 * The schema of the config file, for checking it and for editors. It covers each value by itself. What
 * depends on several values is checked afterwards.
 */
import * as z from "zod";
import { isChannelId } from "../domain/notice.ts";
import { quoted } from "../domain/quoted.ts";
import { BUILT_IN } from "../profiles/table.ts";
import { rawProfile } from "../profiles/raw_profile.ts";
import { settingSchemas } from "./settings.ts";
import {
  basePath,
  count,
  duration,
  eventName,
  hasControl,
  instant,
  line,
  nameFault,
  pattern,
  proxy,
  rateLimit,
  size,
  socketGroup,
  socketMode,
  text,
} from "./value_schemas.ts";

/** The defaults of the file. Those of a subscription's settings are in `settings.ts`. */
export const DEFAULTS = {
  listen: "127.0.0.1:8420",
  maxBody: "256KiB",
  shutdownGrace: "20s",
  socketMode: "0660",
  basePath: "",
  storageUrl: "sqlite:bellhook.db",
  keepDelivered: "30d",
  keepExhausted: "90d",
  totalConcurrency: 256,
  profile: "standard",
} as const;

/** The kinds of notice, in the order they are documented in. */
export const NOTICE_KINDS = [
  "subscription.failing",
  "subscription.recovered",
  "subscription.paused",
  "delivery.exhausted",
  "config.rejected",
] as const;

/** The notices of a channel without `on`. Exhausted deliveries must be asked for. */
export const DEFAULT_NOTICES = NOTICE_KINDS.filter((kind) => kind !== "delivery.exhausted");

const SECRET_IN_FILE = {
  error: (issue: { input?: unknown }) =>
    typeof issue.input === "string" ? "a secret is written into the file" : undefined,
};

const REFERENCES = {
  env: line.describe("The name of the environment variable that holds it"),
  file: line.describe("The path of the file that holds it, relative to the config file"),
  credential: text((value) =>
    nameFault(value, "name") || value === "." || value === ".." || value.includes("/")
      ? {
        message: `${quoted(value)} is no credential's name`,
        fix: "give the name alone, without a path",
      }
      : undefined
  ).describe("The name of the systemd credential that holds it"),
};

const reference = z.union([
  z.strictObject({ env: REFERENCES.env }),
  z.strictObject({ file: REFERENCES.file }),
  z.strictObject({ credential: REFERENCES.credential }),
], SECRET_IN_FILE).meta({
  id: "Reference",
  description: "Where to find a secret. A secret in the config file itself is an error",
});

const until = instant.describe("Until when it also signs");
const previousSecret = z.union([
  z.strictObject({ env: REFERENCES.env, until }),
  z.strictObject({ file: REFERENCES.file, until }),
  z.strictObject({ credential: REFERENCES.credential, until }),
], SECRET_IN_FILE);

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);

const scope = z.record(z.string(), z.union([scalar, z.array(scalar).min(1)])).meta({
  id: "Scope",
  description:
    'By key: the value that the event\'s scope must have, a list of allowed values, or "*" for any ' +
    "value",
});

const operators = z.strictObject({
  ">": z.union([z.number(), z.string()]).optional().describe("Greater; numbers or texts"),
  ">=": z.union([z.number(), z.string()]).optional().describe("Greater or equal"),
  "<": z.union([z.number(), z.string()]).optional().describe("Less; numbers or texts"),
  "<=": z.union([z.number(), z.string()]).optional().describe("Less or equal"),
  "!=": scalar.optional().describe("Any other value, or none at all"),
  exists: z.boolean().optional().describe("Whether there is a value at the path"),
  prefix: z.string().optional().describe("A text that begins with this"),
  suffix: z.string().optional().describe("A text that ends with this"),
}).meta({ id: "Operators", description: "Operators, all of which must hold", minProperties: 1 });

const match = z.record(
  z.string(),
  z.union([scalar, operators, z.array(z.union([scalar, operators])).min(1)]),
);

const profile = z.string().min(1).optional().describe(
  "The wire format and delivery rules: standard, bookingsync, booking-experts, bookingshake, " +
    "bookingscheduler, roostsync, or one of `profiles`",
).meta({ default: DEFAULTS.profile, examples: [...BUILT_IN.keys()] });

const contact = text((value) =>
  /^https?:\/\//i.test(value) || /^[^\s@<>,;:"/]+@[^\s@<>,;:"/]+$/.test(value) ? undefined : {
    message: `${quoted(value)} is neither a mail address nor a URL`,
    fix: 'write it as "name@example.com" or "https://host/path"',
  }
);

/** One entry of `subscriptions`, also in an included file. */
export const rawSubscription = z.strictObject({
  id: line.max(200)
    // Clients remove these two from URLs, so that the API could not be asked about them.
    .refine((text) => text !== "." && text !== "..", "the id must not be . or ..")
    .refine((text) => !isChannelId(text), 'the id must not begin with "notify:"')
    .describe("Unique; history is stored under this id, so don't rename it"),
  url: z.string().describe("Where requests go").meta({ format: "uri" }),
  events: z.array(pattern).min(1).describe(
    "Patterns over the publisher's event types; `*` stands for any run of characters",
  ).meta({ examples: [["booking.*"]] }),
  description: z.string().optional().describe("For people"),
  contact: z.union([contact, z.array(contact).min(1).max(10)]).optional().describe(
    "Who owns the receiver: mail addresses and URLs that are notified when it fails, recovers or is " +
      "paused. Mail is sent through the first `email` channel of `notify`. Posts to a URL are " +
      "signed with the subscription's secret",
  ).meta({ examples: [["webhooks@customer.example", "https://customer.example/status"]] }),
  secret: reference.optional().describe("The signing secret"),
  previousSecret: previousSecret.optional().describe(
    "The secret before this one, for a rotation: both sign where the format has room for several",
  ),
  scope: scope.optional().describe(
    "Conditions on the event's scope by key, all of which must hold: a value, a list of allowed " +
      'values, or "*" for any value',
  ),
  match: match.optional().describe(
    "Conditions on the event's data by dotted path: values, or operators, any of which must hold",
  ).meta({ examples: [{ status: ["CONFIRMED"], total: [{ ">=": 1000 }] }] }),
  headers: z.record(z.string(), z.union([z.string(), ...reference.options], SECRET_IN_FILE))
    .optional().describe(
      "Headers in addition to the profile's own. A secret value is given by reference",
    ),
  rename: z.record(z.string(), eventName).optional().describe(
    "The receiver's names of events, by the publisher's names",
  ).meta({ examples: [{ "booking.cancelled": "booking_destroyed" }] }),
  enabled: z.boolean().optional().describe("If false, its deliveries are held").meta({
    default: true,
  }),
  settings: z.record(z.string(), z.unknown()).optional().describe(
    "Values for the profile's body: any JSON. Numbers keep their digits",
  ),
  permissions: z.array(line).optional().describe(
    "The resources that this subscription may read, if its profile asks for them",
  ),
  profile,
  ...settingSchemas,
}).meta({ id: "Subscription" });

/** A subscription that is a file of its own: it may name its schema. */
export const rawIncluded = rawSubscription.extend({
  $schema: z.string().optional().describe("For editors; not read"),
});

const publisher = z.strictObject({
  name: line.describe("Who it is, in the log and the history"),
  token: reference.describe("The bearer token"),
  types: z.array(pattern).min(1).optional().describe("The types it may post; by default any"),
  scope: scope.optional().describe("Conditions on the scope of its events"),
  rate: rateLimit.optional().describe(
    "How many events it may post in a second, minute, hour or day; more are answered 429",
  ).meta({ examples: ["200/s"] }),
  maxPending: count(1_000_000_000).optional().describe(
    "How many deliveries of its events may be pending at once; a request that would exceed this is " +
      "answered 429",
  ).meta({ examples: [100_000] }),
}).meta({ id: "Publisher" });

const operator = z.strictObject({
  name: line.describe("Who it is, in the log and the history"),
  token: reference.describe("The bearer token"),
}).meta({ id: "Operator" });

const on = z.array(z.enum(NOTICE_KINDS)).min(1).optional()
  .describe("The kinds of notice it gets; left out: all but `delivery.exhausted`")
  .meta({ default: [...DEFAULT_NOTICES] });

const mailAddress = text((value) =>
  hasControl(value) || !/^[^@<>]+@[^@<>\s]+$|^[^@<>]*<[^@<>\s]+@[^@<>\s]+>$/.test(value)
    ? {
      message: `${quoted(value)} is no mail address`,
      fix: 'write it as "name@example.com" or "Name <name@example.com>"',
    }
    : undefined
);

const notify = z.union([
  z.strictObject({
    webhook: z.strictObject({
      url: z.string().describe(
        "Where notices go; http and private networks as the `delivery` block allows them",
      ),
      secret: reference.describe("A Standard Webhooks secret"),
    }).describe("A Standard Webhooks request"),
    on,
  }),
  z.strictObject({
    email: z.strictObject({
      smtp: z.string().describe("`smtp://user@host:587` or `smtps://user@host:465`"),
      password: reference.optional().describe("The password of the URL's user"),
      from: mailAddress.describe("The sender"),
      to: z.array(mailAddress).min(1).describe("The recipients"),
    }).describe("A mail"),
    on,
  }),
  z.strictObject({
    command: z.array(
      text((value) =>
        value.includes("\0") ? { message: "the argument holds a NUL character" } : undefined
      ),
    ).min(1).describe("A program and its arguments; the notice is its standard input"),
    on,
  }),
  z.strictObject({
    slack: z.strictObject({
      url: reference.describe(
        "The URL of an incoming webhook; it is a secret, because anyone who knows it can post",
      ),
    }).describe("A message to a Slack channel"),
    on,
  }),
]).meta({ id: "Notify" });

/** The config file. */
export const rawConfig = z.strictObject({
  $schema: z.string().optional().describe("For editors; not read"),
  server: z.strictObject({
    listen: line.optional().describe(
      "Where the daemon listens: `127.0.0.1:8420`, `[::1]:8420`, `unix:/run/bellhook.sock`; " +
        "anything but loopback or a socket needs `auth`",
    ).meta({ default: DEFAULTS.listen }),
    maxBody: size.optional().describe("The largest request body that is accepted")
      .meta({ default: DEFAULTS.maxBody }),
    shutdownGrace: duration.optional().describe(
      "How long running attempts may still take when the daemon stops",
    )
      .meta({ default: DEFAULTS.shutdownGrace }),
    trustProxy: z.array(proxy).optional().describe(
      "Proxies whose `X-Forwarded-For` is trusted: addresses, networks (CIDR), or `unix` for a " +
        "proxy that connects by the Unix socket",
    ).meta({ default: [] }),
    socketMode: socketMode.optional().describe(
      "The file mode of a Unix socket, which decides who may connect. The umask does not change it",
    ).meta({ default: DEFAULTS.socketMode }),
    socketGroup: socketGroup.optional().describe(
      "The group of a Unix socket, by name or number. The daemon's user must be a member. By default " +
        "it's that user's own group",
    ).meta({ examples: ["www-data"] }),
    basePath: basePath.optional().describe(
      "The path under which a proxy serves the daemon. Links, forms and cookies use it, and requests " +
        "are accepted with it and without it",
    ).meta({ default: DEFAULTS.basePath, examples: ["/bellhook"] }),
  }).optional().describe("The daemon's own HTTP server"),
  auth: z.strictObject({
    publishers: z.array(publisher).optional().describe("Who may post events"),
    operators: z.array(operator).optional().describe("Who may operate the daemon"),
  }).optional().describe("Who may call. Without it, anybody on this machine may, and nobody else"),
  storage: z.strictObject({
    url: line.optional().describe("`sqlite:` and a path relative to the config file")
      .meta({ default: DEFAULTS.storageUrl }),
    keepDelivered: duration.optional().describe("How long delivered deliveries are kept")
      .meta({ default: DEFAULTS.keepDelivered }),
    keepExhausted: duration.optional().describe(
      "How long exhausted and cancelled deliveries are kept",
    )
      .meta({ default: DEFAULTS.keepExhausted }),
  }).optional().describe("The database"),
  delivery: z.strictObject({
    profile,
    ...settingSchemas,
    totalConcurrency: count(100_000).optional()
      .describe("How many attempts may run at once in the whole process")
      .meta({ default: DEFAULTS.totalConcurrency }),
  }).optional().describe(
    "The defaults of every subscription's settings. A subscription's own value comes first, then " +
      "this block, then the profile's, then the built-in default",
  ),
  notify: z.array(notify).optional().describe("Where operators are notified of trouble"),
  eventTypes: z.record(
    z.string(),
    z.strictObject({
      description: z.string().optional().describe("What happened, for people"),
      example: z.unknown().optional().describe("What the data of such an event looks like"),
    }).meta({ id: "EventType" }),
  ).optional().describe(
    "The catalogue of event types. If there is one, an event of another type is refused",
  ),
  tenancy: z.strictObject({
    key: line.describe(
      "The key of an event's scope that names the customer. Every event must have it (422), and every " +
        'subscription must name it in its `scope`, with a value or with "*"',
    ).meta({ examples: ["account_id"] }),
  }).optional().describe("Keeps the events of one customer away from the receivers of another"),
  profiles: z.record(z.string(), rawProfile.meta({ id: "Profile" })).optional().describe(
    "Your own wire formats by name, described like the built-in ones",
  ),
  subscriptions: z.array(rawSubscription).optional().describe("Who wants events"),
  include: z.array(line).optional().describe(
    "Further files, each with one subscription or a list of them. They are named by globs relative to " +
      "this file, as in shells: `*`, `?`, `[a-z]`, `[!a-z]`, `{ab,cd}`, and `**` for any folders",
  ).meta({ examples: [["customers/*.json"]] }),
}).meta({ title: "Bellhook's config file" });

/** A subscription as it is written in a file. */
export type RawSubscription = z.infer<typeof rawSubscription>;

/** The config file as it is written. */
export type RawConfig = z.infer<typeof rawConfig>;

/** The JSON Schema (draft 2020-12) of the config file, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(rawConfig, { io: "input", unrepresentable: "any" });
}
