import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "../../src/outbox/sqlite/migrations.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { canRun } from "../support/can_run.ts";

/** A place where no outbox can be opened, and what is said of it. */
interface Place {
  readonly what: string;
  readonly make: (path: string) => unknown;
  /** The database's path, where it is not the one that was made. */
  readonly open?: (path: string) => string;
  readonly said: string;
}

const PLACES: readonly Place[] = [
  {
    what: "in a folder that is not there",
    make: () => {},
    open: (path) => `${path}/no/such.db`,
    said: 'there is no folder "PATH/no"; make it',
  },
  {
    what: "that is a folder",
    make: (path) => Deno.mkdir(path),
    said: "it is a folder; name a file in it with storage.url",
  },
  {
    what: "in what is no folder",
    make: (path) => Deno.writeTextFile(path, ""),
    open: (path) => `${path}/outbox.db`,
    said: '"PATH" is no folder; name another place',
  },
  {
    what: "whose links lead in a circle",
    make: async (path) => {
      await Deno.symlink(`${path}-2`, path);
      await Deno.symlink(path, `${path}-2`);
    },
    said: "its links lead in a circle; remove them",
  },
  {
    what: "that is a link to nothing",
    make: (path) => Deno.symlink(`${path}-2`, path),
    said: 'it is a link to "PATH-2", where there is no file; put the database there',
  },
  {
    what: "with a name that is too long",
    make: () => {},
    open: (path) => `${path}${"x".repeat(300)}`,
    said: "its name is too long; name another place",
  },
  {
    what: "that is no database",
    make: (path) => Deno.writeTextFile(path, "Dear diary, ".repeat(500)),
    said: "it is no SQLite database",
  },
  {
    what: "of another program",
    make: (path) => change(path, "create table notes (text)"),
    said: "it is a database of some other program",
  },
  {
    what: "of a newer Bellhook",
    make: async (path) => {
      await (await openSqliteOutbox(path)).close();
      change(path, `pragma user_version = ${MIGRATIONS.length + 1}`);
    },
    said: "start the newer Bellhook that wrote it, or restore a backup",
  },
  {
    what: "whose tables are overwritten",
    make: async (path) => {
      await (await openSqliteOutbox(path)).close();
      using file = await Deno.open(path, { write: true });
      await file.seek(100, Deno.SeekMode.Start);
      await file.write(new Uint8Array(3_900).fill(0xff));
    },
    said: "it is corrupt",
  },
];

for (const { what, make, open = (path: string) => path, said } of PLACES) {
  Deno.test(`opening: a database ${what} is told by its name, with what to do`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const path = `${folder}/outbox.db`;
      await make(path);
      const error = await assertRejects(() => openSqliteOutbox(open(path)), Error);
      assertStringIncludes(error.message, said.replaceAll("PATH", path));
      assertStringIncludes(error.message, `"${open(path)}"`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

const canLimit = await canRun("prlimit");

Deno.test({
  name: "opening: without descriptors the limit is told, whoever wants one" +
    (canLimit ? "" : " (left out: there is no prlimit)"),
  ignore: !canLimit,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const script = new URL("./open_without_descriptors.ts", import.meta.url).pathname;
      const path = `${folder}/outbox.db`;
      const rights = ["--no-check", "--allow-read", "--allow-write", "--allow-run"];
      const { stdout } = await new Deno.Command("prlimit", {
        args: ["--nofile=64", Deno.execPath(), "run", "-q", ...rights, script, path],
        stderr: "inherit",
      }).output();
      const lines = new TextDecoder().decode(stdout).trim().split("\n");
      // With none left for our lock, and with some for that and none for SQLite.
      const refused = lines.filter((line) => line !== "opened");
      assert(refused.length >= 3, lines.join("\n"));
      for (const line of refused) {
        assertStringIncludes(
          line,
          "too many files open; raise that limit (ulimit -n, LimitNOFILE)",
        );
        assertStringIncludes(line, `"${path}"`);
      }
      assertEquals(lines.at(-1), "opened");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

function change(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}
