/** The kinds of values in the config file, and how each is checked. */
import * as z from "zod";
import { MAX_RESPONSE_BYTES } from "../domain/attempt.ts";
import { LONGEST_MS, parseDuration, parseRate, parseSize } from "../domain/duration.ts";
import { isEventType, LONGEST_TYPE } from "../domain/event.ts";
import { parseInstant } from "../domain/instant.ts";
import { quoted } from "../domain/quoted.ts";
import { successProblem } from "../profiles/raw_profile.ts";
import { parseNetwork } from "../transport/address_guard.ts";
import { splitFix } from "./problem.ts";

interface Fault {
  readonly message: string;
  readonly fix?: string;
}

/** A text of a certain form. Editors check it by `pattern`, and Bellhook by `fault`. */
export function text(fault: (text: string) => Fault | undefined, pattern?: RegExp) {
  // superRefine() would make a new function for each of tens of thousands of texts.
  const schema = z.string().check(({ value, issues }) => {
    const found = fault(value);
    if (found === undefined) return;
    const { message, fix } = found;
    issues.push({ code: "custom", message, params: { fix }, input: value, continue: true });
  });
  return pattern ? schema.meta({ pattern: pattern.source }) : schema;
}

/** A text of one line that is not empty. */
export const line = text((value) => nameFault(value, "text"));

/** What is wrong with a name, which must be one line and not empty. Messages call it `what`. */
export function nameFault(name: string, what: string): Fault | undefined {
  if (name === "") return { message: `the ${what} is empty` };
  if (hasControl(name)) return { message: `the ${what} holds a control character` };
  // The database can't store half a character, so that it would store a different name.
  if (name.isWellFormed()) return undefined;
  return { message: `the ${what} holds half a character: a surrogate without its partner` };
}

function length({ aboveZero }: { aboveZero: boolean }) {
  return text((value) => {
    const ms = parseDuration(value);
    if (ms === undefined) {
      return {
        message: `${quoted(value)} is no length of time`,
        fix: 'write it as "500ms", "30s", "5m", "2h" or "30d"',
      };
    }
    if (ms > LONGEST_MS) {
      const message = `${quoted(value)} is longer than ten years`;
      return { message, fix: 'give "3650d" at most' };
    }
    if (ms > 0 || !aboveZero) return undefined;
    return { message: `${quoted(value)} is no time at all`, fix: "give more than zero" };
  }, /^\d{1,9}(ms|s|m|h|d)$/);
}

export const duration = length({ aboveZero: false }).meta({ id: "Duration", examples: ["30s"] });
export const deadline = length({ aboveZero: true }).meta({ id: "Deadline", examples: ["30s"] });

export const size = text((value) => {
  const bytes = parseSize(value);
  if (bytes === undefined) {
    return {
      message: `${quoted(value)} is no size`,
      fix: 'write it as "512B", "64KiB" or "1MiB"',
    };
  }
  if (bytes > 0 && bytes <= 256 * 1024 ** 2) return undefined;
  return { message: `${quoted(value)} is not between "1B" and "256MiB"` };
}, /^\d{1,9}(B|KiB|MiB|GiB)$/);

/** How much of a response is kept. It may be nothing. */
export const keptSize = text((value) => {
  const bytes = parseSize(value);
  if (bytes !== undefined && bytes <= MAX_RESPONSE_BYTES) return undefined;
  return {
    message: bytes === undefined
      ? `${quoted(value)} is no size`
      : `${quoted(value)} is more than can be kept of a response`,
    fix: 'write it as "512B" or "4KiB"; "64KiB" is the most, "0B" keeps none',
  };
}, /^\d{1,9}(B|KiB)$/);

export const pattern = text((value) => {
  if (value === "") return { message: "the pattern is empty", fix: 'write "*" for all types' };
  if (value.length > LONGEST_TYPE) {
    return { message: `the pattern has more than ${LONGEST_TYPE} characters` };
  }
  if (isEventType(value)) return undefined;
  const reason = "none has white space or a control character";
  const message = `${quoted(value)} fits no event type: ${reason}`;
  return { message, fix: "write the type as it is posted" };
});

/** The receiver's name of an event. */
export const eventName = text((value) => {
  const fault = nameFault(value, "name");
  if (fault) return { ...fault, fix: "give the receiver's name of the event, or take this out" };
  return value.length > LONGEST_TYPE
    ? { message: `the name has more than ${LONGEST_TYPE} characters` }
    : undefined;
});

export const network = text((value) =>
  parseNetwork(value) === undefined
    ? {
      message: `${quoted(value)} is no network`,
      fix: 'write it as "10.0.0.0/8", "fd00::/8" or a single address',
    }
    : undefined
);

export const proxy = text((value) =>
  value === "unix" || parseNetwork(value) !== undefined ? undefined : {
    message: `${quoted(value)} is no network`,
    fix: 'write it as "10.0.0.0/8", "fd00::/8", a single address, or "unix"',
  }
);

export const socketMode = text((value) =>
  /^0?[0-7]{3}$/.test(value) ? undefined : {
    message: `${quoted(value)} is no file mode`,
    fix: 'write it as "0660", "0600" or "0666"',
  }, /^0?[0-7]{3}$/);

export const socketGroup = text((value) =>
  /^[\w.][\w.@-]{0,254}\$?$/.test(value) ? undefined : {
    message: `${quoted(value)} is no group's name or number`,
    fix: 'write it as "www-data" or "33"',
  }
);

/** Only segments that all browsers and proxies leave unchanged. */
const BASE_PATH = /^((\/(?!\.{1,2}(\/|$))[\w.~-]+)+)?$/;

export const basePath = text((value) => {
  if (value.length <= 200 && BASE_PATH.test(value)) return undefined;
  return {
    message: `${quoted(value)} is no path that a daemon can be served under`,
    fix: 'write it as "/bellhook" or "/internal/bellhook", without a slash at the end',
  };
}, BASE_PATH);

export const instant = text((value) =>
  parseInstant(value) === undefined
    ? {
      message: `${quoted(value)} is no instant`,
      fix: 'write it in RFC 3339: "2026-01-31T12:00:00Z"',
    }
    : undefined
).meta({ format: "date-time" });

export const success = text((value) => {
  const problem = successProblem(value);
  return problem === undefined ? undefined : splitFix(problem);
}).meta({ examples: ["2xx", "200", "200-204,409"] });

export const rateLimit = text((value) =>
  parseRate(value) ? undefined : {
    message: `${quoted(value)} is no rate`,
    fix: 'write it as "10/s", "600/m", "1000/h" or "5000/d"',
  }, /^0*[1-9]\d{0,6}\/[smhd]$/);

/** Whether a text has control characters or line breaks, which no name or header may have. */
export function hasControl(value: string): boolean {
  // deno-lint-ignore no-control-regex
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(value);
}

export const count = (most: number) => z.int().min(1).max(most);
