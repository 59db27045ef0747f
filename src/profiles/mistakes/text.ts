import { Buffer } from "node:buffer";
import type { Placeholder, Template } from "../template.ts";
import { type Candidate, type Mistake, mistaken, type Pieces, right } from "./mistake.ts";

/** Makes the signed text from a body; undefined if a part is missing. */
export type Wrap = (body: Uint8Array) => Pieces | undefined;

/** The values of the placeholders in one request, except for the body. */
export type Known = ReadonlyMap<Placeholder, string>;

/** A template for the signed text, and the values of its placeholders. */
export interface SignedText {
  readonly over: Template;
  readonly known: Known;
  readonly rawBody: Uint8Array;
}

/** The texts that may have been signed, the correct one first. */
export function textsOf(signed: SignedText): Candidate<Wrap>[] {
  const { over, known } = signed;
  const has = (placeholder: Placeholder) => placeholdersOf(over).includes(placeholder);
  const found: Candidate<Wrap>[] = [right(wrap(signed))];
  if (has("body:encode64")) {
    for (const [mistake, encode] of OTHER_BASE64) {
      found.push(mistaken(mistake, wrap(signed, { encode })));
    }
  } else {
    const encoded = { ...signed, over: over.map(encodedBody) };
    found.push(
      mistaken(ENCODED, wrap(encoded)),
      mistaken(ENCODED_STRICTLY, wrap(encoded, { encode: base64 })),
    );
  }
  const timestamp = known.get("timestamp");
  if (has("timestamp") && timestamp !== undefined && /^\d{1,15}$/.test(timestamp)) {
    const other = timestamp.length >= MS_DIGITS ? timestamp.slice(0, -3) : `${timestamp}000`;
    found.push(mistaken(TIMESTAMP_IN_MS, wrap(signed, { timestamp: other })));
  }
  const leftOut = PARTS.filter(has);
  for (const part of leftOut) {
    found.push(mistaken(WITHOUT[part], wrap({ ...signed, over: without(over, [part]) })));
  }
  if (leftOut.length > 1) {
    found.push(
      mistaken(BODY_ALONE, wrap({ ...signed, over: without(over, leftOut) })),
      mistaken(SEPARATORS, wrap({ ...signed, over: over.filter((p) => typeof p !== "string") })),
      mistaken(ORDER, wrap({ ...signed, over: swapped(over) })),
    );
  } else if (leftOut.length === 0 && timestamp !== undefined) {
    const stamped: Template = [{ placeholder: "timestamp" }, ".", ...over];
    found.push(
      mistaken(AS_TRIO, wrap({ ...signed, over: [{ placeholder: "id" }, ".", ...stamped] })),
      mistaken(WITH_TIMESTAMP, wrap({ ...signed, over: stamped })),
    );
  }
  return found;
}

/** The texts with each millisecond of the timestamp's second: the header shows only seconds. */
export function* millisecondTexts(signed: SignedText): Generator<Candidate<Wrap>> {
  const seconds = signed.known.get("timestamp");
  const stamped = placeholdersOf(signed.over).includes("timestamp");
  if (!stamped || seconds === undefined || !/^\d{1,12}$/.test(seconds)) return;
  for (let ms = 1; ms < 1_000; ms++) {
    const timestamp = seconds + String(ms).padStart(3, "0");
    yield mistaken(TIMESTAMP_IN_MS, wrap(signed, { timestamp }));
  }
}

/** Unix seconds have fewer digits until the year 33658; milliseconds have this many since 2001. */
export const MS_DIGITS = 13;

/** Ruby's `Base64.encode64`: a line break after every 60 characters and at the end. */
export function encode64(bytes: Uint8Array): string {
  return lines(bytes, 60);
}

/** A template's placeholders, in order. */
export function placeholdersOf(template: Template): Placeholder[] {
  return template.flatMap((piece) => typeof piece === "string" ? [] : [piece.placeholder]);
}

const ENCODE64 =
  "use Ruby's Base64.encode64: a line break after every 60 characters and at the end";

const OTHER_BASE64: readonly (readonly [Mistake, (bytes: Uint8Array) => string | Uint8Array])[] = [
  [
    { code: "strict-base64", was: "it was made over Base64 without line breaks", fix: ENCODE64 },
    base64,
  ],
  [
    {
      code: "mime-base64",
      was: "it was made over Base64 with a line break after every 76 characters, as in MIME and " +
        "Python's encodebytes",
      fix: ENCODE64,
    },
    (bytes) => lines(bytes, 76),
  ],
  [
    {
      code: "mime-base64",
      was: "it was made over Base64 with CR LF after every 76 characters, as in MIME",
      fix: ENCODE64,
    },
    (bytes) => lines(bytes, 76, "\r\n"),
  ],
  [
    {
      code: "mime-base64",
      was: "it was made over Base64 with CR LF between lines of 76 characters, as in Java and PHP",
      fix: ENCODE64,
    },
    (bytes) => lines(bytes, 76, "\r\n").trimEnd(),
  ],
  [
    {
      code: "last-line-end-missing",
      was: "it was made over Base64 without a line break at the end",
      fix: ENCODE64,
    },
    (bytes) => lines(bytes, 60).trimEnd(),
  ],
  [
    {
      code: "base64url",
      was: "it was made over URL-safe Base64",
      fix: ENCODE64,
    },
    (bytes) => Buffer.from(bytes).toString("base64url"),
  ],
  [
    {
      code: "not-encoded",
      was: "it was made over the body itself",
      fix: "encode the body first, as Ruby's Base64.encode64 does",
    },
    (bytes) => bytes,
  ],
];

const ENCODED: Mistake = {
  code: "encoded",
  was: "it was made over Ruby's Base64.encode64 of the body, as BookingSync does",
  fix: "sign the body itself",
};

const ENCODED_STRICTLY: Mistake = {
  code: "encoded",
  was: "it was made over the body in Base64",
  fix: "sign the body itself",
};

function encodedBody(piece: Template[number]): Template[number] {
  if (typeof piece === "string" || !piece.placeholder.startsWith("body")) return piece;
  return { placeholder: "body:encode64" };
}

const TIMESTAMP_IN_MS: Mistake = {
  code: "timestamp-in-ms",
  was: "the timestamp was signed in a different unit than the header has",
  fix: "use Unix seconds in both",
};

/** The parts besides the body that are often forgotten. */
const PARTS = ["id", "timestamp"] as const;

const WITHOUT: { readonly [part in typeof PARTS[number]]: Mistake } = {
  id: {
    code: "signed-without-id",
    was: "the id was not signed",
    fix: "sign it too, in the position that the format defines, with its header's value",
  },
  timestamp: {
    code: "signed-without-timestamp",
    was: "the timestamp was not signed",
    fix: "sign it too, in the position that the format defines, with its header's value",
  },
};

const BODY_ALONE: Mistake = {
  code: "signed-body-alone",
  was: "only the body was signed",
  fix: "sign id and timestamp too, in the positions that the format defines",
};

const SEPARATORS: Mistake = {
  code: "signed-without-separators",
  was: "the parts were signed with nothing between them",
  fix: "add the format's separators between them",
};

const ORDER: Mistake = {
  code: "signed-in-wrong-order",
  was: "timestamp and id were signed in the wrong order",
  fix: "swap them",
};

const AS_TRIO: Mistake = {
  code: "trio-signature",
  was: "it was made over id.timestamp.body, as in Standard Webhooks",
  fix: "sign only the body in this header",
};

const WITH_TIMESTAMP: Mistake = {
  code: "signed-with-timestamp",
  was: "it was made over timestamp.body",
  fix: "sign only the body in this header",
};

function wrap(
  { over, known, rawBody }: SignedText,
  { encode = encode64, timestamp = known.get("timestamp") }: {
    encode?: (bytes: Uint8Array) => string | Uint8Array;
    timestamp?: string | undefined;
  } = {},
): Wrap {
  // If a template has both, {body} is the received bytes.
  const isReserialised = placeholdersOf(over).includes("body:reserialised");
  return (body) => {
    const pieces: (string | Uint8Array)[] = [];
    for (const piece of over) {
      const part = typeof piece === "string" ? piece : partOf(piece.placeholder, body);
      if (part === undefined) return undefined;
      pieces.push(part);
    }
    return pieces;
  };

  function partOf(placeholder: Placeholder, body: Uint8Array): string | Uint8Array | undefined {
    switch (placeholder) {
      case "body":
        return isReserialised ? rawBody : body;
      case "body:reserialised":
        return body;
      case "body:encode64":
        return encode(isReserialised ? rawBody : body);
      case "timestamp":
        return timestamp;
      default:
        return known.get(placeholder);
    }
  }
}

/** A template without some placeholders, and without the separators after them. */
function without(over: Template, left: readonly Placeholder[]): Template {
  const kept: Template[number][] = [];
  for (let at = 0; at < over.length; at++) {
    const piece = over[at]!;
    if (typeof piece === "string" || !left.includes(piece.placeholder)) kept.push(piece);
    else if (typeof over[at + 1] === "string") at++;
    else if (typeof kept.at(-1) === "string") kept.pop();
  }
  return kept;
}

function swapped(over: Template): Template {
  return over.map((piece) => {
    if (typeof piece === "string") return piece;
    if (piece.placeholder === "id") return { placeholder: "timestamp" };
    return piece.placeholder === "timestamp" ? { placeholder: "id" } : piece;
  });
}

function lines(bytes: Uint8Array, width: number, end = "\n"): string {
  return base64(bytes).replace(new RegExp(`.{1,${width}}`, "g"), `$&${end}`);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
