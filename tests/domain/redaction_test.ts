import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { Redactor } from "../../src/domain/redaction.ts";
import { cpuMs } from "../support/cpu_time.ts";
import { fc } from "../support/properties.ts";
import { SPELLINGS } from "../support/spellings.ts";

const secrets = fc.oneof(
  fc.string({
    unit: fc.constantFrom(..."abcdefXYZ0123456789+/=&%\\\"'<>;:.-_~ "),
    minLength: 8,
    maxLength: 40,
  }),
  fc.string({ unit: "grapheme", minLength: 8, maxLength: 30 }),
  fc.base64String({ minLength: 12, maxLength: 44 }),
).filter((text) => text.trim() === text && new Set(text).size > 4 && text.isWellFormed());

const texts = fc.oneof(
  fc.constantFrom("", '{"key":"', "key=", "<p>", "%", "\\", "C:\\", "&", "token", "%2", "&#", "="),
  fc.string({ unit: "grapheme-ascii", maxLength: 30 }),
);

const spellings = fc.constantFrom(...Object.keys(SPELLINGS));

Deno.test("redaction: no secret stays in any text, whatever spells it, and whatever spells that", () => {
  fc.assert(
    fc.property(secrets, spellings, spellings, texts, texts, (secret, a, b, before, after) => {
      const spelled = SPELLINGS[b]!(SPELLINGS[a]!(secret));
      const middle = spelled.slice(
        Math.floor(spelled.length / 4),
        Math.ceil(spelled.length * 3 / 4),
      );
      fc.pre(middle.length > 3 && !`${before}\n${after}`.includes(middle));
      const redactor = new Redactor([secret]);
      const kept = redactor.text(before + spelled + after);
      assert(!kept.includes(middle), `${a}, ${b}: ${JSON.stringify({ secret, spelled, kept })}`);
      const bytes = new TextEncoder().encode(before + spelled + after);
      const body = new TextDecoder().decode(redactor.bytes(bytes));
      assert(!body.includes(middle), `${a}, ${b}: ${JSON.stringify({ secret, spelled, body })}`);
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("redaction: a body that was cut off within a secret, however spelled, shows none of its beginning", () => {
  fc.assert(
    fc.property(
      secrets,
      spellings,
      fc.double({ min: 0.2, max: 1, noNaN: true }),
      (secret, a, share) => {
        const spelled = Buffer.from(SPELLINGS[a]!(secret)).toString("latin1");
        const cut = spelled.slice(0, Math.ceil(spelled.length * share));
        // Of fewer than four characters of it nothing can be told.
        const least = Math.ceil(spelled.length / secret.length) * 8 + 8;
        fc.pre(cut.length >= least);
        const bytes = Buffer.from(`<b>${cut}`, "latin1");
        const kept = new Redactor([secret]).bytes(bytes, { isCut: true });
        const body = Buffer.from(kept).toString("latin1");
        assert(!body.includes(cut.slice(0, least)), JSON.stringify({ a, secret, cut, body }));
      },
    ),
    { numRuns: 1_000 },
  );
});

Deno.test("redaction: parts that are secret by themselves go too", () => {
  const basic = `Basic ${btoa("shop:pa55+w/rd")}`;
  const key = "0123456789+/==abcdefghijklmnop";
  const of = (...all: string[]) => new Redactor(all);
  for (
    const [secret, text, kept] of [
      ["Bearer tok+en/1", "unknown token tok+en/1!", "unknown token [redacted]!"],
      ["Bearer tok+en/1", "got Bearer tok+en/1", "got [redacted]"],
      ["Bearer tok+en/1", '{"t":"tok\\u002Ben/1"}', '{"t":"[redacted]"}'],
      [basic, "no user shop:pa55+w/rd here", "no user [redacted] here"],
      [basic, "bad password pa55+w/rd.", "bad password [redacted]."],
      [basic, "bad password pa55%2bw%2Frd.", "bad password [redacted]."],
      [basic, `got ${basic.slice(6)}`, "got [redacted]"],
      ['Token token="s3cr3t-word"', "no s3cr3t-word", "no [redacted]"],
      ["session=0a1b2c3d4e; theme=dark", "0a1b2c3d4e? dark", "[redacted]? dark"],
      [`whsec_${btoa(key)}`, `key ${key}`, "key [redacted]"],
      [`whsec_${btoa(key)}`, `key ${btoa(key)}`, "key [redacted]"],
    ] as const
  ) assertEquals(of(secret).text(text), kept);
});

Deno.test("redaction: a secret split over header lines, or in a header's name, goes from each", () => {
  const redactor = new Redactor(["Bearer abcdefgh-ijklmnop"]);
  assertEquals(
    redactor.headers([["A", "x abcdefgh-"], ["B", "ijklmnop y"], ["X-abcdefgh-ijklmnop", "1"]]),
    [["A", "x [redacted]"], ["B", "[redacted] y"], ["X-[redacted]", "1"]],
  );
  const base64 = btoa("Bearer abcdefgh-ijklmnop");
  const lines = [["A", base64.slice(0, 11)], ["B", base64.slice(11)], [
    "C",
    `x ${base64}`,
  ]] as const;
  const text = JSON.stringify(redactor.headers(lines));
  assert(!text.includes(base64.slice(2, 11)) && !text.includes(base64.slice(11, 20)), text);
});

Deno.test("redaction: all else stays as it is, byte for byte", () => {
  const redactor = new Redactor(["Bearer abcdefgh-ijklmnop"]);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    assert(redactor.bytes(bytes, { isCut: true }) === bytes);
  }));
  const headers = [["Content-Type", "text/html; charset=utf-8"], [
    "ETag",
    'W/"x&amp;%41"',
  ]] as const;
  assert(redactor.headers(headers) === headers);
  const body = new Uint8Array([
    0xff,
    0xfe,
    ...new TextEncoder().encode("\\\\abcdefgh-ijklmnop\\"),
    0,
  ]);
  assertEquals(
    [...redactor.bytes(body)],
    [0xff, 0xfe, ...new TextEncoder().encode("\\\\[redacted]\\"), 0],
  );
});

Deno.test("redaction: no row of signs, however long, hides a secret that is spelled behind or within it", () => {
  const signs = fc.constantFrom("\\", "%", "&", "\\%", "&#", "+", "{;}", "\\\n", "=", "#\\;");
  const length = fc.integer({ min: 0, max: 200 });
  const row = fc.tuple(signs, length).map(([sign, length]) => sign.repeat(length).slice(0, length));
  const begins = fc.constantFrom("", "+", "/", "-", "\\", "%", "&", "{", "n", "\\\\", "=#");
  fc.assert(
    fc.property(
      secrets,
      begins,
      spellings,
      spellings,
      row,
      row,
      (rest, begin, a, b, before, after) => {
        const secret = begin + rest;
        const spelled = SPELLINGS[b]!(SPELLINGS[a]!(secret));
        const middle = spelled.slice(
          Math.floor(spelled.length / 4),
          Math.ceil(spelled.length * 3 / 4),
        );
        fc.pre(middle.length > 3 && /[A-Za-z0-9]/.test(middle));
        // A sign that means the next one by its literal self is part of what follows.
        for (const between of ["", " "]) {
          const kept = new Redactor([secret]).text(before + between + spelled + after);
          if (between === "" && /[\\&%#]$/.test(before)) continue;
          assert(!kept.includes(middle), JSON.stringify({ a, b, secret, before, spelled, kept }));
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("redaction: an answer that spells nothing but spellings is read in a fraction of a second", () => {
  // Two of them begin as a spelled line break does, which means nothing wherever it stands.
  const redactor = new Redactor([
    "Bearer abcdefgh-ijklmnop",
    `whsec_${btoa("x".repeat(32))}`,
    "n0123456789",
    "\\n-0123456789",
  ]);
  const units = ["\\", "%", "%25", "&#x26;", "=", "\n", "\\u005c", "QUFB", "abcdefgh-", "4", "\\n"];
  for (const unit of units) {
    const body = new TextEncoder().encode(unit.repeat(65_536 / unit.length));
    const startedMs = cpuMs();
    redactor.bytes(body, { isCut: true });
    const tookMs = cpuMs() - startedMs;
    // Some fifty on a fast machine; what grows with the square of a body's length takes minutes.
    assert(tookMs < 3_000, `${JSON.stringify(unit)}: ${tookMs} ms`);
  }
});
