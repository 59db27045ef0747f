import { assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../src/transport/failure.ts";
import { NameService } from "../../src/transport/name_service.ts";
import { MachineFault } from "../../src/transport/transport.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A name service whose lookups end when the test says so. */
function aNameService() {
  const clock = new FakeClock();
  const asked: string[] = [];
  const open = new Map<string, PromiseWithResolvers<readonly string[]>>();
  const names = new NameService((hostname) => {
    asked.push(hostname);
    const lookup = Promise.withResolvers<readonly string[]>();
    open.set(hostname, lookup);
    return lookup.promise;
  }, clock);
  const never = new AbortController().signal;
  return {
    clock,
    names,
    /** Every lookup so far. */
    asked,
    ask: (hostname: string, signal = never) => names.addressesOf(hostname, signal),
    async answer(hostname: string, addresses = ["192.0.2.1"]) {
      open.get(hostname)!.resolve(addresses);
      await turns();
    },
    async fail(hostname: string, code: string) {
      open.get(hostname)!.reject(Object.assign(new Error("?"), { code }));
      await turns();
    },
  };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

function deadline(): AbortController & { pass(): void } {
  const controller = new AbortController();
  const pass = () => controller.abort(new Failure("timeout", "the deadline passed"));
  return Object.assign(controller, { pass });
}

Deno.test("name service: who asks for the same name at once shares its lookup", async () => {
  const it = aNameService();
  const answers = Array.from({ length: 50 }, () => it.ask("api.example"));
  await it.answer("api.example", ["192.0.2.1", "192.0.2.2"]);
  assertEquals(new Set(await Promise.all(answers)).size, 1);
  assertEquals(it.asked, ["api.example"]);
});

Deno.test("name service: addresses are remembered for 10 s, a failure for 3 s", async () => {
  const it = aNameService();
  const found = it.ask("api.example");
  await it.answer("api.example");
  await found;
  it.clock.advance(9_999);
  assertEquals(await it.ask("api.example"), ["192.0.2.1"]);
  it.clock.advance(1);
  const lost = it.ask("api.example");
  await it.fail("api.example", "ENOTFOUND");
  await assertRejects(() => lost, Failure, "no such host api.example");
  it.clock.advance(2_999);
  await assertRejects(() => it.ask("api.example"), Failure, "no such host api.example");
  assertEquals(it.asked.length, 2);
  it.clock.advance(1);
  void it.ask("api.example");
  assertEquals(it.asked.length, 3);
});

Deno.test("name service: of many names four are looked up at once", async () => {
  const it = aNameService();
  for (let i = 0; i < 40; i++) void it.ask(`api.${i}.example`.replace("example", `example${i}`));
  assertEquals(it.asked.length, 4);
  await it.answer(it.asked[0]!);
  assertEquals(it.asked.length, 5);
});

Deno.test("name service: of a domain that nothing is known of, one name is looked up first", async () => {
  const it = aNameService();
  for (const name of ["a.one.example", "b.one.example", "c.one.example", "two.example2"]) {
    void it.ask(name);
  }
  assertEquals(it.asked, ["a.one.example", "two.example2"]);
  await it.answer("a.one.example");
  assertEquals(it.asked.slice(2), ["b.one.example", "c.one.example"]);
});

Deno.test("name service: lookups that never end hold twelve threads and no more", async () => {
  const it = aNameService();
  for (let i = 0; i < 100; i++) void it.ask(`api.hanging${i}`);
  for (let second = 0; second < 60; second++) it.clock.advance(1_000);
  assertEquals(it.asked.length, 12);
  await it.answer("api.hanging0");
  assertEquals(it.asked.length, 13);
});

Deno.test("name service: hanging names of one domain never take the place of another's", async () => {
  const it = aNameService();
  for (let i = 0; i < 100; i++) {
    void it.ask(`receiver${i}.hanging.example`.replace("example", "hung"));
  }
  it.clock.advance(1_000);
  it.clock.advance(1_000);
  // One shows that they hang, one more is tried beside it.
  assertEquals(it.asked.length, 2);
  for (let i = 0; i < 4; i++) {
    const found = it.ask(`api.healthy${i}`);
    await it.answer(`api.healthy${i}`);
    assertEquals(await found, ["192.0.2.1"]);
  }
});

Deno.test("name service: a name that hangs has one lookup, however often it is asked for", async () => {
  const it = aNameService();
  for (let attempt = 0; attempt < 5; attempt++) {
    const { signal, pass } = deadline();
    const asking = it.ask("api.hanging", signal);
    it.clock.advance(30_000);
    pass();
    await assertRejects(() => asking, Failure, "the deadline passed");
  }
  assertEquals(it.asked, ["api.hanging"]);
});

Deno.test("name service: a lookup that got no turn before the deadline is this machine's lack", async () => {
  const it = aNameService();
  for (let i = 0; i < 4; i++) void it.ask(`api.unanswered${i}`);
  const { signal, pass } = deadline();
  const asking = it.ask("api.waiting", signal);
  it.clock.advance(500);
  pass();
  const fault = await assertRejects(() => asking, MachineFault);
  assertEquals(fault.lack, "name service");
  // Nobody waits for it any more: it is not begun.
  await it.answer("api.unanswered0");
  assertEquals(it.asked.includes("api.waiting"), false);
});

Deno.test("name service: a shutdown is told as such to whoever waits for a turn", async () => {
  const it = aNameService();
  for (let i = 0; i < 5; i++) void it.ask(`api.unanswered${i}`);
  const closing = new AbortController();
  const asking = it.ask("api.waiting", closing.signal);
  closing.abort(new Failure("reset", "broken off by shutdown"));
  await assertRejects(() => asking, Failure, "broken off by shutdown");
});

Deno.test("name service: a lack of memory is no answer, and not remembered", async () => {
  const it = aNameService();
  const asking = it.ask("api.example");
  await it.fail("api.example", "EAI_MEMORY");
  await assertRejects(() => asking, MachineFault);
  void it.ask("api.example");
  assertEquals(it.asked.length, 2);
});
