import { assert, assertEquals } from "@std/assert";
import { ReceivedCells } from "../../src/cli/received_cells.ts";

Deno.test("received lines: columns are as wide as the longest names so far", () => {
  const cells = new ReceivedCells({ columns: undefined, profiles: ["a-profile-of-one's-own"] });
  const long = "category|availability_updated_by_somebody";
  assertEquals(cells.of("a", "standard"), ["a".padEnd(24), "standard".padEnd(22)]);
  assertEquals(cells.of(long, "standard"), [long, "standard".padEnd(22)]);
  assertEquals(cells.of("a", "standard")[0], "a".padEnd(long.length));
});

Deno.test("received lines: names that are known to come make no line shift", () => {
  const events = ["a", "category|availability_updated"];
  const cells = new ReceivedCells({ columns: 80, events, profiles: ["bookingscheduler"] });
  const widths = events.map((event) => cells.of(event, "standard")[0].length);
  assertEquals(widths, [29, 29]);
});

Deno.test("received lines: on a terminal a long event gives way to what follows", () => {
  const cells = new ReceivedCells({ columns: 80, profiles: ["bookingscheduler"] });
  const [event, profile] = cells.of("x".repeat(200), "standard");
  assertEquals([event.length, event.at(-1)], [32, "…"]);
  // Status, time and the verdict of a good one, with the blanks between them.
  const line = `${event}  ${profile}  200  ${"12 ms".padStart(7)}  signature good`;
  assert(line.length <= 80, line);
  assertEquals(cells.of("預約".repeat(3), "standard")[0], "預約預約預約" + " ".repeat(20));
});
