import { assert, assertEquals } from "@std/assert";
import { inspect } from "node:util";
import { Secret } from "../../src/domain/secret.ts";

Deno.test("Secret: wherever it is printed by accident, it is not its value", () => {
  const secret = new Secret("open sesame");
  const holder = { secret, all: [secret] };
  const printed = [
    `${secret}`,
    String(secret),
    JSON.stringify(holder),
    Deno.inspect(holder),
    inspect(holder, { depth: 9, showHidden: true }),
    JSON.stringify(Object.entries(secret)),
    JSON.stringify({ ...secret }),
  ];
  for (const text of printed) assert(!text.includes("open sesame"), text);
  assertEquals(printed[0], "Secret(…)");
  assertEquals(JSON.stringify(secret), '"Secret(…)"');
});

Deno.test("Secret: equal by its value, and to nothing else", () => {
  const secret = new Secret("open sesame");
  assert(secret.equals(new Secret("open sesame")));
  assert(!secret.equals(new Secret("open barley")));
  assert(!secret.equals(undefined));
});
