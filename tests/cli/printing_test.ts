import { assert, assertEquals, assertThrows } from "@std/assert";
import { serverSentEvents } from "../../src/cli/event_stream.ts";
import { printable, printableLines } from "../../src/cli/printable.ts";
import { type Column, printFields, printLine, printTable } from "../../src/cli/table.ts";
import { cut, widthOf, wrapped } from "../../src/cli/text_width.ts";
import { instantOrAgo, relative, when } from "../../src/cli/when.ts";
import { commandAbout, curlOf, shellWord } from "../../src/domain/curl.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { anyText } from "../support/any_text.ts";
import { fc } from "../support/properties.ts";

interface Row {
  readonly id: string;
  readonly state: string;
  readonly note: string;
}

const COLUMNS: Column<Row>[] = [
  { heading: "ID", cell: ({ id }) => id },
  { heading: "STATE", cell: ({ state }) => ({ text: state, colour: "red" }), shrinksTo: 6 },
  { heading: "NOTE", cell: ({ note }) => note, shrinksTo: 10, dropRank: 1 },
];

function printed(columns: number | undefined, print: (screen: Screen) => void, colour = false) {
  let text = "";
  print({ columns, colour, stdout: (more) => text += more });
  return text;
}

type Screen = Parameters<typeof printLine>[1];

const ROW = { id: "dlv_1", state: "exhausted", note: "answered 503 at last" };

Deno.test("table: aligned under headings where there is room", () => {
  const rows = [ROW, { id: "dlv_22", state: "pending", note: "" }];
  assertEquals(
    printed(80, (screen) => printTable(rows, COLUMNS, screen)),
    "ID      STATE      NOTE\n" +
      "dlv_1   exhausted  answered 503 at last\n" +
      "dlv_22  pending\n",
  );
});

Deno.test("table: as the terminal gets narrower columns shrink, then go, then rows are stacked", () => {
  const at = (columns: number) => printed(columns, (screen) => printTable([ROW], COLUMNS, screen));
  assertEquals(
    at(30),
    "ID     STATE      NOTE\ndlv_1  exhausted  answered 50…\n",
  );
  assertEquals(at(25), "ID     STATE   NOTE\ndlv_1  exhau…  answered …\n");
  assertEquals(at(20), "ID     STATE\ndlv_1  exhausted\n");
  assertEquals(at(12), "dlv_1\n  exhausted\n  answered\n  503 at\n  last\n");
});

Deno.test("table: in a pipe every cell, divided by tabs, and no heading", () => {
  const rows = [{ ...ROW, note: "a\tb\nc" }];
  assertEquals(
    printed(undefined, (screen) => printTable(rows, COLUMNS, screen)),
    "dlv_1\texhausted\ta\\tb\\nc\n",
  );
});

Deno.test("table: colours only where the terminal has them", () => {
  const line = (colour: boolean) =>
    printed(40, (screen) => printLine(["a", { text: "b", colour: "green" }], screen), colour);
  assertEquals([line(false), line(true)], ["a  b\n", "a  \x1b[32mb\x1b[0m\n"]);
});

Deno.test("table: no line is wider than the terminal, and none steers it", () => {
  const text = anyText({ maxLength: 60 });
  fc.assert(
    fc.property(
      fc.array(fc.record({ id: text, state: text, note: text }), { maxLength: 5 }),
      fc.integer({ min: 20, max: 120 }),
      (rows, columns) => {
        const output = printed(columns, (screen) => {
          printTable(rows, COLUMNS, screen);
          for (const row of rows) {
            printLine(Object.values(row), screen);
            printFields(Object.entries(row), screen);
          }
        });
        for (const line of output.split("\n")) {
          assert(widthOf(line) <= columns, JSON.stringify(line));
          assert(!/\p{Cc}/u.test(line), JSON.stringify(line));
        }
      },
    ),
  );
});

Deno.test("text width: wide characters take two columns, combining ones none", () => {
  assertEquals(["abc", "日本", "e\u0301", "👩‍👩‍👧", "ｆ"].map(widthOf), [3, 4, 1, 2, 2]);
  assertEquals(cut("日本語", 5), "日本…");
  assertEquals(wrapped("one two three", 7), ["one two", "three"]);
  assertEquals(wrapped("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
});

Deno.test("printable: what could steer a terminal is spelled out", () => {
  assertEquals(printable("\x1b[31m\u202e\x9b\n\tü"), "\\u{001b}[31m\\u{202e}\\u{009b}\\n\\tü");
  assertEquals(printableLines("a\n\tb\x1b\r"), "a\n\tb\\u{001b}\\r");
});

Deno.test("when: relative on a terminal, as it came in a pipe", () => {
  const clock = new FakeClock(Date.UTC(2024, 2, 15, 10, 30));
  assertEquals(when("2024-03-15T10:27:00Z", { columns: 80, clock }), "3 m ago");
  const text = "2024-03-15T10:27:00Z";
  assertEquals(when(text, { columns: undefined, clock }), text);
  assertEquals(when(undefined, { columns: 80, clock }), "");
});

Deno.test("when: in one unit, without jumps between units", () => {
  const spoken = [0, 400, 59_400, 59_600, 3_569_000, 3_570_000, 47 * 3_600_000, 2 * 86_400_000]
    .map((ms) => relative(0, ms));
  assertEquals(spoken, [
    ...["now", "now", "59 s ago", "1 m ago", "59 m ago", "1 h ago", "47 h ago", "2 d ago"],
  ]);
  assertEquals(relative(300_000, 0), "in 5 m");
});

Deno.test("when: a time ago or an instant, and nothing else", () => {
  const parse = instantOrAgo(new FakeClock(Date.UTC(2024, 2, 15, 10, 30)));
  assertEquals(parse("2h"), "2024-03-15T08:30:00Z");
  assertEquals(parse("2024-03-15T10:30:00+01:00"), "2024-03-15T09:30:00Z");
  assertThrows(() => parse("yesterday"));
});

Deno.test("shell word: a shell reads back what went in", async () => {
  const words = ["guests", "it's", "$HOME `x` \\", "", 'a b\n"c"', "*?[!]", "ü–日"];
  const script = `printf '%s\\0' ${words.map(shellWord).join(" ")}`;
  assertEquals(await shell(script), words);
});

Deno.test("curl: the command's words are those of the request", async () => {
  const body = `{"note":"it's","n":1.10,"path":"@file"}`;
  const headers = [["webhook-id", "evt_1"], ["X-Key", "[redacted]"], ["X-Empty", ""]] as const;
  const command = curlOf({ url: "https://guests.example/?a=[1]&b='", headers, body });
  assertEquals(await shell(`curl() { printf '%s\\0' "$@"; }\n${command}`), [
    ...["--request", "POST", "--globoff", "https://guests.example/?a=[1]&b='"],
    ...["--header", "webhook-id: evt_1", "--header", "X-Key: [redacted]", "--header", "X-Empty;"],
    ...["--data-raw", body],
  ]);
});

async function shell(script: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", script] }).output();
  return new TextDecoder().decode(stdout).split("\0").slice(0, -1);
}

Deno.test("event stream: the same events however the bytes are cut", async () => {
  const text = "\ufeff: hello\r\nretry: 2000\r\n\r\nid: 1\revent: delivery\rdata: {\rdata:  ü\r\r" +
    "data\n\nevent: gap\n\nid: 2\ndata: x\n\ndata: broken off";
  const bytes = new TextEncoder().encode(text);
  const expected = [
    { event: "delivery", data: "{\n ü", id: "1" },
    { event: "message", data: "", id: "1" },
    { event: "message", data: "x", id: "2" },
  ];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
      const edges = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const pieces = edges.slice(1).map((edge, index) => bytes.subarray(edges[index]!, edge));
      const events = [];
      for await (const event of serverSentEvents(ReadableStream.from(pieces))) events.push(event);
      assertEquals(events, expected);
    }),
  );
});

Deno.test("server-sent events: an id counts without an event, once its empty line is there", async () => {
  const ids: string[] = [];
  const text = "id: run-7\nretry: 2000\n\nid: run-8\n";
  const bytes = ReadableStream.from([new TextEncoder().encode(text)]);
  for await (const event of serverSentEvents(bytes, (id) => ids.push(id))) {
    throw new Error(`no event, but "${event.data}"`);
  }
  assertEquals(ids, ["run-7"]);
});

Deno.test("commandAbout: a shell hands the id on as one word that is no option, whatever it holds", async () => {
  for (
    const id of ["pms", "a b", "$(touch /tmp/never)", "it's; id", "-x", "--", "`id`", "é & |", "#"]
  ) {
    const script = commandAbout("status", id).replace(/^bellhook status/, "printf '%s\\0'");
    const { stdout } = await new Deno.Command("sh", { args: ["-c", script] }).output();
    const words = new TextDecoder().decode(stdout).split("\0").slice(0, -1);
    assertEquals(words, id.startsWith("-") ? ["--", id] : [id]);
  }
});
