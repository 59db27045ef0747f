import { assertEquals } from "@std/assert";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../src/domain/duration.ts";
import { formatInstant, parseInstant } from "../../src/domain/instant.ts";
import { fc } from "../support/properties.ts";

Deno.test("formatInstant(): milliseconds stand there only where they are not zero", () => {
  assertEquals(formatInstant(Date.UTC(2024, 2, 15, 10, 30)), "2024-03-15T10:30:00Z");
  assertEquals(formatInstant(Date.UTC(2024, 2, 15, 10, 30, 0, 120)), "2024-03-15T10:30:00.120Z");
});

Deno.test("parseInstant(): reads what RFC 3339 allows and nothing else", () => {
  const at = Date.UTC(2024, 2, 15, 10, 30);
  for (
    const text of [
      "2024-03-15T10:30:00Z",
      "2024-03-15t10:30:00z",
      "2024-03-15T12:30:00+02:00",
      "2024-03-15T05:00:00.000-05:30",
    ]
  ) assertEquals(parseInstant(text), at, text);
  assertEquals(parseInstant("2024-03-15T10:30:00.1239Z"), at + 123);
  assertEquals(parseInstant(`2024-03-15T10:30:00.${"1".repeat(40)}Z`), at + 111);
  assertEquals(parseInstant("2016-12-31T23:59:60Z"), Date.UTC(2017, 0, 1));
  assertEquals(parseInstant("2016-12-31T18:59:60.5-05:00"), Date.UTC(2017, 0, 1) + 500);
  for (
    const text of [
      "",
      "2024-03-15",
      "2024-03-15T10:30:00",
      "2024-03-15 10:30:00Z",
      "2024-02-30T10:30:00Z",
      "2024-13-01T10:30:00Z",
      "2024-03-15T24:00:00Z",
      "2024-03-15T10:60:00Z",
      "2024-03-15T10:30:00+24:00",
      "1710498600000",
      " 2024-03-15T10:30:00Z",
      "2024-03-15T10:30:60Z",
      "9999-12-31T23:59:59-01:00",
      "0000-01-01T00:59:59+01:00",
    ]
  ) assertEquals(parseInstant(text), undefined, text);
});

Deno.test("parseInstant(): reads back what formatInstant() wrote", () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), noInvalidDate: true, max: new Date(253402300799999) }),
      (date) => {
        assertEquals(parseInstant(formatInstant(date.getTime())), date.getTime());
      },
    ),
  );
});

Deno.test("durations and sizes: read back as they were written", () => {
  assertEquals(["500ms", "30s", "5m", "2h", "30d"].map(parseDuration), [
    500,
    30_000,
    300_000,
    7_200_000,
    2_592_000_000,
  ]);
  assertEquals(
    ["1", "s", "-1s", "1.5h", "1 h", "1w", "", "99999999999s"].map(parseDuration),
    Array(8).fill(undefined),
  );
  assertEquals(["64KiB", "1MiB", "0B"].map(parseSize), [65_536, 1_048_576, 0]);
  assertEquals(["64", "64kb", "64KB", "-1B"].map(parseSize), Array(4).fill(undefined));
  fc.assert(fc.property(fc.nat(), (n) => {
    assertEquals(parseSize(formatSize(n)), n);
    if (n < 10 ** 9) assertEquals(parseDuration(formatDuration(n)), n);
  }));
});
