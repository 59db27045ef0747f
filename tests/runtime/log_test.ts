import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import type { AttemptFacts } from "../../src/runtime/log.ts";
import { lineLog, LOG_FORMATS, type LogLook } from "../../src/runtime/log_lines.ts";
import { anyText } from "../support/any_text.ts";
import { fc } from "../support/properties.ts";

const ATTEMPT: AttemptFacts = {
  delivery: "dlv_01",
  subscription: "pms",
  type: "booking.created",
  attempt: 2,
  status: 503,
  durationMs: 41,
  verdict: "retry",
  nextAttemptAt: "2024-03-15T10:35:00Z",
};

/** What the log says of an attempt, its time replaced. */
function said(how: LogLook, facts: Partial<AttemptFacts> = {}): string {
  const lines: string[] = [];
  const log = lineLog((line) => lines.push(line), how);
  log.attempted({ ...ATTEMPT, ...facts });
  assertEquals(lines.length, 1);
  return lines[0]!.replace(
    /(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d\.\d{3}Z?/,
    (time) => time.length === 12 ? "TIME" : "INSTANT",
  );
}

Deno.test("log: an attempt is one line of logfmt", () => {
  assertEquals(
    said({ format: "logfmt" }),
    'time=INSTANT level=warning msg="attempt failed" delivery=dlv_01 subscription=pms ' +
      "type=booking.created attempt=2 status=503 durationMs=41 verdict=retry " +
      "nextAttemptAt=2024-03-15T10:35:00Z\n",
  );
});

Deno.test("log: an attempt is one object of JSON, its numbers numbers", () => {
  const line = said({ format: "json" });
  assertEquals(JSON.parse(line), {
    time: "INSTANT",
    level: "warning",
    msg: "attempt failed",
    ...ATTEMPT,
  });
  assertEquals(line.split("\n").length, 2);
});

Deno.test("log: an attempt is one line for eyes, in colour where that is wanted", () => {
  const facts = "delivery=dlv_01 subscription=pms type=booking.created attempt=2 status=200 " +
    "durationMs=41 verdict=delivered";
  const { nextAttemptAt: _, ...delivered } = { ...ATTEMPT, status: 200, verdict: "delivered" };
  const lines: string[] = [];
  const log = lineLog((line) => lines.push(line), { format: "pretty", colour: true });
  log.attempted(delivered);
  log.attempted({ ...delivered, status: 503, verdict: "exhausted" });
  assertEquals(lines.join("").split("\n").map((line) => line.slice("10:30:00.123".length)), [
    ` info     attempt  ${facts}`,
    ` \x1b[33mwarning  attempt failed\x1b[0m  ${
      facts.replace("200", "503").replace("delivered", "exhausted")
    }`,
    "",
  ]);
  assert(!(said({ format: "pretty" })).includes("\x1b"));
});

Deno.test("log: attempts that went well are written together, soon, and before what comes after", async () => {
  const written: string[] = [];
  const log = lineLog((text) => written.push(text), { format: "logfmt" });
  const linesWritten = () => written.map((text) => text.split("\n").length - 1);
  const well = { ...ATTEMPT, status: 200, verdict: "delivered" };
  log.attempted(well);
  log.attempted(well);
  assertEquals(linesWritten(), []);
  while (written.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assertEquals(linesWritten(), [2]);
  log.attempted(well);
  log.stopping();
  assertEquals(linesWritten(), [2, 2]);
});

Deno.test("log: no type, id or answer can end a line, steer a terminal or pass for a field", () => {
  const lines: string[] = [];
  const hostile = fc.array(fc.oneof(
    anyText(),
    fc.constantFrom(
      "\n",
      "\r",
      "\x1b[2J",
      "\x7f",
      "\x85",
      "\u2028",
      "\u202e",
      "\u{e0041}",
      "\ud800",
    ),
    fc.constantFrom(' level=info msg="all is well"', '"', "\\", "\\n", "=", "{type}"),
  )).map((parts) => parts.join(""));
  for (const format of LOG_FORMATS) {
    const log = lineLog((line) => lines.push(line), { format });
    fc.assert(fc.property(hostile, hostile, (type, failure) => {
      lines.length = 0;
      log.attempted({ ...ATTEMPT, type, failure });
      const [line, ...more] = lines;
      assertEquals(more, []);
      assert(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+\n$/u.test(line!), JSON.stringify(line));
      const read = format === "json" ? JSON.parse(line!) : fieldsOf(line!);
      assertEquals([read.type, read.failure, read.verdict], [type, failure, "retry"]);
    }));
  }
});

/** Reads logfmt as a collector does: bare words, and texts in quotes spelled as JSON spells them. */
function fieldsOf(line: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [, name, value] of line.matchAll(/(\w+)=("(?:[^"\\]|\\.)*"|[^\s"]+)(?=\s)/g)) {
    assert(!(name! in fields), `${name} stands twice in ${line}`);
    fields[name!] = value!.startsWith('"') ? JSON.parse(value!) : value!;
  }
  return fields;
}
