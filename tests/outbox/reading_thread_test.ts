import { assertEquals, assertRejects } from "@std/assert";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { ReadingThread } from "../../src/outbox/sqlite/reading_thread.ts";
import { FakeClock } from "../support/fake_clock.ts";

function story(what: string, tell: (path: string, clock: FakeClock) => Promise<void>): void {
  Deno.test(`reading thread: ${what}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await (await openSqliteOutbox(`${folder}/a.db`)).close();
      await tell(`${folder}/a.db`, new FakeClock());
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** What one statement answers with. */
async function ask(thread: ReadingThread, sql: string): Promise<unknown> {
  const [answer] = (await thread.read([{ sql }]))!;
  return "rows" in answer! ? Object.values(answer.rows[0] ?? {})[0] : undefined;
}

const number = (value: number) => [{ sql: `select ${value} as number` }];
const LONG = [{
  sql: `with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000000)
    select count(*) as number from n`,
}];

story("answers each that asks, in order, however many ask at once", async (path, clock) => {
  const thread = new ReadingThread(path, clock);
  const answers = await Promise.all([1, 2, 3, 4].map((value) => thread.read(number(value))));
  assertEquals(
    answers.map((answer) => (answer![0] as { rows: { number: number }[] }).rows[0]!.number),
    [1, 2, 3, 4],
  );
  await thread.close();
  assertEquals(await thread.read(number(5)), undefined);
});

story("is there while it is asked, and gone half a minute later", async (path, clock) => {
  const thread = new ReadingThread(path, clock);
  // What only this connection knows.
  await ask(thread, "pragma cache_size = -99");
  clock.advance(29_000);
  assertEquals(await ask(thread, "pragma cache_size"), -99);
  clock.advance(29_000);
  assertEquals(await ask(thread, "pragma cache_size"), -99, "it was asked meanwhile");
  clock.advance(30_000);
  assertEquals(await ask(thread, "pragma cache_size"), -4096, "whoever asks then gets a new one");
  await thread.close();
});

story("a statement that fails is told, and the next has its answer", async (path, clock) => {
  const thread = new ReadingThread(path, clock);
  const [failed, fine] = [thread.read([{ sql: "select * from nowhere" }]), thread.read(number(1))];
  await assertRejects(() => failed, Error, "no such table");
  assertEquals((await fine)?.length, 1);
  await thread.close();
});

story("where the file can't be opened there is none", async (path, clock) => {
  const thread = new ReadingThread(`${path}.gone`, clock);
  assertEquals(await thread.read(number(1)), undefined);
  await thread.close();
});

story("whoever closes it waits for a statement, but not for ever", async (path, clock) => {
  const thread = new ReadingThread(path, clock);
  await thread.read(number(1));
  const [long, next] = [thread.read(LONG), thread.read(number(2))];
  const closed = thread.close();
  clock.advance(2_000);
  await closed;
  assertEquals([await long, await next], [undefined, undefined]);
});
