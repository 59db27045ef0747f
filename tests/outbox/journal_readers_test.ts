import { assert, assertEquals, assertMatch } from "@std/assert";
import { JournalWatch } from "../../src/dispatch/journal_watch.ts";
import { LONG_JOURNAL_BYTES, readersText } from "../../src/outbox/reader.ts";
import { readLocks } from "../../src/outbox/sqlite/journal_readers.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, stopAtOnce } from "../support/a_daemon.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { anEvent, aNewEvent, NOON } from "./building.ts";

const READER = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("begin")
db.execute("select count(*) from events").fetchall()
print("reading", flush=True)
sys.stdin.read()
`;

Deno.test({
  name:
    "journal: one that a reader pins is told at 64 MiB with the reader's process, until it ends",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir();
    const outbox = await openSqliteOutbox(`${folder}/outbox.db`);
    const told: string[] = [];
    const log = {
      ...silentLog,
      journalPinned: (bytes: number, readers: string) => told.push(`${bytes} ${readers}`),
      journalFreed: () => told.push("freed"),
    };
    const commits = () => outbox.commits;
    const watch = new JournalWatch({ reader: outbox, clock: new FakeClock(), log, commits });
    const fill = async () => {
      const data = `"${"x".repeat(1_000_000)}"`;
      for (let i = 0; i < 70; i++) {
        await outbox.enqueue({ events: [aNewEvent({ event: anEvent({ data }) })], at: NOON });
      }
    };
    await outbox.enqueue({ events: [aNewEvent()], at: NOON });
    const reader = new Deno.Command("python3", {
      args: ["-c", READER, `${folder}/outbox.db`],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const said = reader.stdout.getReader();
    await said.read();
    await watch.look();
    assertEquals(told, []);
    await fill();
    await watch.look();
    assertEquals(told.length, 1);
    const [bytes, readers] = [watch.pinned!.bytes, readersText(watch.pinned!)];
    assert(bytes >= LONG_JOURNAL_BYTES);
    assertMatch(readers, new RegExp(`^process ${reader.pid} \\(python3`));
    assertEquals(told[0], `${bytes} ${readers}`);

    await said.cancel();
    await reader.stdin.close();
    await reader.status;
    await fill();
    await watch.look();
    assertEquals([told.length, told[1], watch.pinned], [2, "freed", undefined]);
    await outbox.close();
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "journal: the overview and the metric name one that is pinned",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir();
    const clock = new FakeClock();
    const config = aConfig({ server: { ...aConfig().server, maxBodyBytes: 16 * 1024 ** 2 } });
    const path = `${folder}/outbox.db`;
    const daemon = await aDaemon({ ...config, storage: { ...config.storage, path } }, { clock });
    const reader = new Deno.Command("python3", {
      args: ["-c", READER, path],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const said = reader.stdout.getReader();
    await said.read();
    for (let i = 0; i < 10; i++) {
      const event = { type: "large", data: "x".repeat(8_000_000) };
      assertEquals((await daemon.call("POST", "/v1/events", event)).status, 202);
    }
    clock.advance(30_000);
    const page = await until(async () => {
      const text = await (await fetch(`${daemon.url}/`)).text();
      return text.includes("can't be emptied") || text.includes("can&#39;t be emptied") ? text : "";
    });
    assertMatch(page, new RegExp(`process ${reader.pid} \\(python3`));
    const metrics = await (await fetch(`${daemon.url}/metrics`)).text();
    const [, bytes] = /^bellhook_journal_pinned_bytes (\d+)$/m.exec(metrics)!;
    assert(Number(bytes) >= LONG_JOURNAL_BYTES);
    await said.cancel();
    await reader.stdin.close();
    await reader.status;
    await stopAtOnce(daemon, clock);
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test("journal: where processes can't be known, growth over two looks tells", async () => {
  let long: { bytes: number; readers: never[] } | undefined;
  let commits = 1;
  const reader = { longJournal: () => Promise.resolve(long) };
  const clock = new FakeClock();
  const watch = new JournalWatch({ reader, clock, log: silentLog, commits: () => commits });
  long = { bytes: LONG_JOURNAL_BYTES, readers: [] };
  await watch.look();
  await watch.look();
  // One large commit alone: nothing was stored since.
  assertEquals(watch.pinned, undefined);
  commits++;
  await watch.look();
  assertEquals(watch.pinned, long);
  long = undefined;
  await watch.look();
  assertEquals(watch.pinned, undefined);
});

Deno.test("journal: of the locks on its index those of readers in it count", () => {
  const locks = [
    "1: POSIX  ADVISORY  READ 4242 08:01:1310 124 124",
    "2: POSIX  ADVISORY  WRITE 17 08:01:1310 120 120",
    "3: -> POSIX  ADVISORY  READ 18 08:01:1310 124 124",
    "4: POSIX  ADVISORY  READ 19 08:01:1310 123 123",
    "5: POSIX  ADVISORY  READ 20 08:01:1310 128 128",
    "6: POSIX  ADVISORY  READ 0 08:01:1310 124 124",
    "7: FLOCK  ADVISORY  WRITE 21 08:01:1310 0 EOF",
    "8: OFDLCK ADVISORY  READ -1 08:01:1310 124 124",
    "9: POSIX  ADVISORY  READ 4243 00:2d:77 125 125",
  ].join("\n");
  assertEquals(readLocks(locks), [
    { pid: 4242, device: "08:01", inode: 1310 },
    { pid: 4243, device: "00:2d", inode: 77 },
  ]);
});
