import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { WalFollower } from "../../src/outbox/sqlite/wal_follower.ts";

/** Numbers that look random and are the same in each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor(state / 65_536) % below;
  };
}

function fingerprint(db: DatabaseSync): unknown {
  const rows = db.prepare("select count(*) as n, total(a) as a, total(length(b)) as b from t")
    .get();
  return [{ ...rows! }, db.prepare("pragma integrity_check").get()!.integrity_check];
}

for (const seed of [1, 2, 3, 4]) {
  Deno.test(`WalFollower: file and log together are the database, whatever a writer does (${seed})`, async () => {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/a.db`;
    const random = numbers(seed);
    const db = new DatabaseSync(path);
    db.exec("pragma journal_mode = wal; pragma wal_autocheckpoint = 0; pragma synchronous = off");
    db.exec("pragma journal_size_limit = 200000; pragma cache_size = 10");
    db.exec("create table t (a integer primary key, b blob)");
    const write = (rows: number) =>
      db.exec(`
        insert into t (b) with recursive c (x) as (select 1 union all select x + 1 from c where
        x < ${rows}) select randomblob(${random(3_000)}) from c;
        update t set b = randomblob(50) where a % 17 = ${random(17)};
        delete from t where a % 29 = ${random(29)}`);
    let follower: WalFollower | undefined;
    let copy = new Uint8Array();
    let checked = 0, lost = 0;
    const take = (page: number, content: Uint8Array) => {
      const end = page * 4_096;
      if (copy.length < end) {
        const longer = new Uint8Array(end);
        longer.set(copy);
        copy = longer;
      }
      copy.set(content, end - 4_096);
    };
    for (let step = 0; step < 150; step++) {
      const chance = random(10);
      if (chance < 5) write(1 + random(20));
      else if (chance === 5) {
        db.exec("begin; delete from t; insert into t (b) values (zeroblob(9)); rollback");
      } else if (chance === 6) db.exec("pragma wal_checkpoint(passive)");
      else if (chance === 7) db.exec("pragma wal_checkpoint(restart)");
      else if (chance === 8 && random(6) === 0) db.exec("pragma wal_checkpoint(truncate)");
      if (random(2) === 0) continue;
      if (!follower) {
        // As a copy begins: first the log, then the file where the log has nothing newer.
        follower = new WalFollower(`${path}-wal`, 4_096);
        copy = new Uint8Array();
        const taken = new Map<number, Uint8Array>();
        if (!follower.follow((page, content) => taken.set(page, content))) {
          follower.close();
          follower = undefined;
          continue;
        }
        copy = await Deno.readFile(path);
        for (const [page, content] of taken) take(page, content);
      } else if (!follower.follow(take)) {
        follower.close();
        follower = undefined;
        lost++;
        continue;
      }
      checked++;
      const pages = Number(db.prepare("pragma page_count").get()!.page_count);
      await Deno.writeFile(`${folder}/copy.db`, copy.subarray(0, pages * 4_096));
      const copied = new DatabaseSync(`${folder}/copy.db`);
      assertEquals(fingerprint(copied), fingerprint(db), `step ${step}`);
      copied.close();
      for (const end of ["-wal", "-shm"]) {
        await Deno.remove(`${folder}/copy.db${end}`).catch(() => {});
      }
    }
    follower?.close();
    db.close();
    await Deno.remove(folder, { recursive: true });
    assert(checked > 30, `${checked} looks, ${lost} begun anew`);
  });
}

Deno.test("WalFollower: a log that was begun anew twice since has been missed", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/a.db`;
  const db = new DatabaseSync(path);
  db.exec("pragma journal_mode = wal; pragma wal_autocheckpoint = 0");
  db.exec("create table t (a integer primary key, b blob)");
  for (let row = 0; row < 50; row++) db.exec("insert into t (b) values (randomblob(3000))");
  const follower = new WalFollower(`${path}-wal`, 4_096);
  const take = () => {};
  assertEquals(follower.follow(take), true);
  const beginAnew = () => {
    db.exec("pragma wal_checkpoint(restart)");
    db.exec("insert into t (b) values (x'00')");
  };
  beginAnew();
  assertEquals(follower.follow(take), true, "the next log");
  for (let row = 0; row < 50; row++) db.exec("insert into t (b) values (randomblob(3000))");
  assertEquals(follower.follow(take), true);
  beginAnew();
  beginAnew();
  assertEquals(follower.follow(take), false, "the one after it");
  follower.close();
  db.close();
  await Deno.remove(folder, { recursive: true });
});
