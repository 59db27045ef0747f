import { assert, assertEquals } from "@std/assert";
import { MIGRATIONS } from "../../src/outbox/sqlite/migrations.ts";
import { DatabaseSync } from "node:sqlite";
import { bellhook } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { House } from "./a_house.ts";

const isLinux = Deno.build.os === "linux";
Deno.test({
  name: "locks: SQLite's are held after start, checkpoint, backup, reload and migration",
  ignore: !isLinux,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      await using house = new House(folder);
      // A database of before the last change of the schema.
      const old = new DatabaseSync(house.database);
      const last = MIGRATIONS.length - 1;
      old.exec(await Deno.readTextFile(new URL(`../outbox/schemas/${last}.sql`, import.meta.url)));
      old.close();
      await house.start();
      const copy = `${house.database}-v${last}-backup`;
      assertEquals((await Deno.stat(copy)).isFile, true, "it was copied before its migration");
      await assertHeld(house, "start and migration");

      const before = (await Deno.stat(house.database)).size;
      for (let i = 0; i < 120; i++) assertEquals((await house.post()).status, 202);
      await until(
        async () => (await Deno.stat(house.database)).size > before,
        "the journal is moved into the database",
      );
      await house.post();
      await assertHeld(house, "checkpoint");

      assertEquals((await bellhook(folder, "backup", `${folder}/copy.db`)).code, 0);
      await assertHeld(house, "backup");
      const reload = await fetch(`${house.url}/-/reload`, { method: "POST" });
      assertEquals(reload.status, 200, await reload.text());
      await assertHeld(house, "reload");
      const metrics = await fetch(`${house.url}/metrics`);
      await metrics.body?.cancel();
      await assertHeld(house, "metrics");
      assertEquals(await house.stop(), 0);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** SQLite's shared locks, on the database and on the journal's index, and ours on the database. */
async function assertHeld({ database, pid }: House, when: string): Promise<void> {
  const inode = async (path: string) => (await Deno.stat(path)).ino;
  // Deno opens it to programs with every permission alone.
  const { stdout } = await new Deno.Command("cat", { args: ["/proc/locks"] }).output();
  const locks = new TextDecoder().decode(stdout).split("\n");
  const held = (kind: string, ino: number | null) =>
    locks.some((line) => line.includes(kind) && new RegExp(` ${pid} \\S+:${ino} `).test(line));
  assert(held("POSIX", await inode(database)), `SQLite's lock on the database, after ${when}`);
  assert(
    held("POSIX", await inode(`${database}-shm`)),
    `SQLite's lock on the index, after ${when}`,
  );
  assert(held("FLOCK", await inode(database)), `our lock on the database, after ${when}`);
}
