import * as z from "zod";
import type { FormatText } from "../domain/delivery.ts";
import type { Event } from "../domain/event.ts";
import { formatInstant } from "../domain/instant.ts";
import { assertJson, canonicalScalar, type JsonText } from "../domain/json_text.ts";
import type { BodyShape, BodySource, BodyValue, Profile } from "../domain/profile.ts";
import type { Subscription } from "../domain/subscription.ts";

/**
 * The body of a delivery. The same format and event always give the same bytes. The event's JSON text
 * is copied unchanged, so numbers keep their digits and objects their key order.
 */
export function renderBody(format: FormatText, event: Event): string {
  return rendererOf(format).render(event)!;
}

/**
 * A snapshot of what a delivery's body depends on besides its event: the profile's shape, the settings
 * it uses, renamed event types, and how the profile signs. It is stored with the delivery, so that
 * every attempt has the same body and kind of signature, across restarts and reloads.
 */
export function formatOf(subscription: Subscription): FormatText {
  let format = formats.get(subscription);
  if (format === undefined) {
    format = freeze(subscription);
    formats.set(subscription, format);
  }
  return format;
}

const formats = new WeakMap<Subscription, FormatText>();

/** The members of a body in a format. Settings are stored as constants. */
type FrozenShape = [name: string, value: FrozenValue][];

type FrozenValue =
  | {
    from: EventSource;
    as?: "unixMs" | "unixSeconds" | undefined;
    whenMissing?: "omit" | undefined;
    nullWhen?: { name: string; values: string[] } | undefined;
  }
  | { value: JsonText; nullWhen?: { name: string; values: string[] } | undefined }
  | { members: FrozenShape };

type EventSource = Exclude<BodySource, `settings.${string}`>;

/** Increase it when the meaning of a stored format changes, and keep reading the older versions. */
const FORMAT_VERSION = 1;

function freeze(subscription: Subscription): FormatText {
  const body = freezeShape(subscription.profile.body, subscription.settings);
  const rename = [...subscription.rename].sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify({
    format: FORMAT_VERSION,
    body,
    ...(rename.length > 0 && namesType(body) && { rename }),
    wire: wireOf(subscription.profile),
  });
}

/** How a profile's requests are signed, and with which headers. */
export type Wire = Pick<Profile, "headers" | "signature" | "secretForm">;

function wireOf({ headers, signature, secretForm }: Profile): Wire {
  return { headers, ...(signature && { signature }), secretForm };
}

/** How a delivery is signed; undefined for formats from versions that did not store it. */
export function frozenWire(format: FormatText): Wire | undefined {
  return rendererOf(format).wire;
}

function freezeShape(shape: BodyShape, settings: Subscription["settings"]): FrozenShape {
  return shape.flatMap(([name, value]): FrozenShape => {
    const frozen = freezeValue(value, settings);
    return frozen ? [[name, frozen]] : [];
  });
}

/** Undefined if a setting is missing and its member is to be omitted. */
function freezeValue(
  value: BodyValue,
  settings: Subscription["settings"],
): FrozenValue | undefined {
  if (value.kind === "object") return { members: freezeShape(value.members, settings) };
  if (value.kind === "constant") return { value: value.value };
  const { source, as, whenMissing } = value;
  const nullWhen = value.nullWhenScope && {
    name: value.nullWhenScope.name,
    values: [...value.nullWhenScope.values],
  };
  if (isSetting(source)) {
    const setting = settings.get(source.slice("settings.".length));
    if (setting === undefined && whenMissing === "omit") return undefined;
    return { value: setting ?? "null", ...(nullWhen && { nullWhen }) };
  }
  return {
    from: source,
    ...(as !== "iso" && { as }),
    ...(whenMissing === "omit" && { whenMissing }),
    ...(nullWhen && { nullWhen }),
  };
}

function isSetting(source: BodySource): source is `settings.${string}` {
  return source.startsWith("settings.");
}

function namesType(shape: FrozenShape): boolean {
  return shape.some(([, value]) =>
    "members" in value ? namesType(value.members) : "from" in value && value.from === "type"
  );
}

/** The event's name in a delivery's body; undefined if the body doesn't contain it. */
export function nameInBody(format: FormatText, event: Event): string | undefined {
  return rendererOf(format).nameOf?.(event);
}

/** Renders a value as JSON; undefined omits its member. */
type Renderer = (event: Event) => JsonText | undefined;

/** How many compiled formats are cached; more than most installations have subscriptions. */
const MAX_RENDERERS = 4_096;
const renderers = new Map<FormatText, BodyRenderer>();

interface BodyRenderer {
  readonly render: Renderer;
  /** Undefined if the body doesn't contain the event's name. */
  readonly nameOf: ((event: Event) => string) | undefined;
  readonly wire: Wire | undefined;
}

function rendererOf(format: FormatText): BodyRenderer {
  let renderer = renderers.get(format);
  if (!renderer) {
    renderer = compile(format);
    if (renderers.size >= MAX_RENDERERS) renderers.delete(renderers.keys().next().value!);
    renderers.set(format, renderer);
  }
  return renderer;
}

function compile(format: FormatText): BodyRenderer {
  const { body, rename, wire } = parseFormat(format);
  const names = new Map(rename);
  const nameOf = (event: Event) => names.get(event.type) ?? event.type;
  return {
    render: objectRenderer(body, nameOf),
    nameOf: namesType(body) ? nameOf : undefined,
    wire: wire as Wire | undefined,
  };
}

function objectRenderer(shape: FrozenShape, nameOf: (event: Event) => string): Renderer {
  const members = shape.map(([name, value]) => ({
    label: `${JSON.stringify(name)}:`,
    render: valueRenderer(value, nameOf),
  }));
  return (event) => {
    let text = "";
    for (const { label, render } of members) {
      const value = render(event);
      if (value !== undefined) text += (text === "" ? "{" : ",") + label + value;
    }
    return text === "" ? "{}" : text + "}";
  };
}

function valueRenderer(value: FrozenValue, nameOf: (event: Event) => string): Renderer {
  if ("members" in value) return objectRenderer(value.members, nameOf);
  const { nullWhen } = value;
  const render = "value" in value ? () => value.value : sourceRenderer(value, nameOf);
  if (!nullWhen) return render;
  return (event) => {
    const found = event.scope.get(nullWhen.name);
    const isNull = found !== undefined && nullWhen.values.includes(canonicalScalar(found));
    return isNull ? "null" : render(event);
  };
}

function sourceRenderer(
  { from, as, whenMissing }: Extract<FrozenValue, { from: EventSource }>,
  nameOf: (event: Event) => string,
): Renderer {
  const missing = whenMissing === "omit" ? undefined : "null";
  switch (from) {
    case "id":
      return (event) => JSON.stringify(event.sentAs ?? event.id);
    case "type":
      return (event) => JSON.stringify(nameOf(event));
    case "timestamp":
      if (as === "unixMs") return (event) => String(event.occurredAt);
      if (as === "unixSeconds") return (event) => String(Math.floor(event.occurredAt / 1_000));
      return (event) => `"${formatInstant(event.occurredAt)}"`;
    case "data":
      return (event) => event.data;
    case "metadata":
      return (event) => event.metadata ?? missing;
    default: {
      const key = from.slice("scope.".length);
      return (event) => event.scope.get(key) ?? missing;
    }
  }
}

const jsonText = z.string().refine(isJson, { error: "no JSON" });
const nullWhen = z.strictObject({ name: z.string(), values: z.array(z.string()) }).optional();

const frozenShape: z.ZodType<FrozenShape> = z.lazy(() =>
  z.array(z.tuple([
    z.string(),
    z.union([
      z.strictObject({
        from: z.string().regex(/^(type|id|timestamp|data|metadata|scope\..+)$/) as z.ZodType<
          EventSource
        >,
        as: z.enum(["unixMs", "unixSeconds"]).optional(),
        whenMissing: z.literal("omit").optional(),
        nullWhen,
      }),
      z.strictObject({ value: jsonText, nullWhen }),
      z.strictObject({ members: frozenShape }),
    ]),
  ]))
);

const frozenFormat = z.strictObject({
  format: z.literal(FORMAT_VERSION),
  body: frozenShape,
  rename: z.array(z.tuple([z.string(), z.string()])).optional(),
  wire: z.strictObject({
    headers: z.array(z.tuple([z.string(), z.string()])),
    signature: z.strictObject({
      header: z.string(),
      algorithm: z.enum(["sha1", "sha256", "sha384", "sha512"]),
      encoding: z.enum(["hex", "base64"]),
      over: z.string(),
      value: z.string(),
      separator: z.string().optional(),
    }).optional(),
    secretForm: z.enum(["standard", "text", "either"]),
  }).optional(),
});

function isJson(text: string): boolean {
  try {
    assertJson(text);
    return true;
  } catch {
    return false;
  }
}

/** Throws for a format that this version of Bellhook can't have written: never guess a body. */
function parseFormat(format: FormatText): z.infer<typeof frozenFormat> {
  let value: unknown;
  try {
    value = JSON.parse(format);
  } catch (error) {
    throw new Error("cannot render a delivery: its stored format is not JSON", { cause: error });
  }
  const parsed = frozenFormat.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  const where = path.length === 0 ? "its stored format" : `its stored format's ${path.join(".")}`;
  throw new Error(
    `cannot render a delivery: ${where} is not as version ${FORMAT_VERSION} writes it (${message}); ` +
      "a newer Bellhook may have written it",
  );
}
