import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { canRun } from "../support/can_run.ts";
import { canBuildLibraries, WITHOUT_COMPILER } from "../support/shared_library.ts";
import { until } from "../support/until.ts";
import { type Answer, House } from "./a_house.ts";
import { canMount, mountSmallDisk, WITHOUT_MOUNTING } from "./small_disk.ts";
import { buildWatchedDisk, watching } from "./watched_disk.ts";

const EFBIG = 27, ENOSPC = 28, EROFS = 30, EDQUOT = 122;

Deno.test({
  name: "disk: a full one is told with 503 and by /-/ready, and ingest goes on once there is room" +
    WITHOUT_MOUNTING,
  ignore: !canMount,
  fn: () =>
    withFolder(async (folder) => {
      const disk = await mountSmallDisk(folder, "3m");
      try {
        await using house = new House(folder);
        await Deno.writeFile(`${folder}/ballast`, new Uint8Array(2 ** 20));
        await house.start();
        await fill(house);
        assert(house.accepted.length > 10, `only ${house.accepted.length} events had room`);
        assertTold(await house.ready(), "the disk is full; make room");

        await Deno.remove(`${folder}/ballast`);
        await until(async () => (await house.ready()).status === 200, "it is ready again");
        assertEquals((await house.post()).status, 202);
        await house.assertWhole();
      } finally {
        await disk.unmount();
      }
    }),
});

Deno.test({
  name:
    "disk: stopped on a full one, the daemon loses nothing and starts again once there is room" +
    WITHOUT_MOUNTING,
  ignore: !canMount,
  fn: () =>
    withFolder(async (folder) => {
      const disk = await mountSmallDisk(folder, "2m");
      try {
        await using house = new House(folder);
        await Deno.writeFile(`${folder}/ballast`, new Uint8Array(2 ** 20));
        await house.start();
        await fill(house);
        assertEquals(await house.stop(), 0);
        await Deno.remove(`${folder}/ballast`);
        await house.start();
        await house.assertWhole();
      } finally {
        await disk.unmount();
      }
    }),
});

Deno.test({
  name: "disk: on a read-only one the daemon refuses to start and says why" + WITHOUT_MOUNTING,
  ignore: !canMount,
  fn: () =>
    withFolder(async (folder) => {
      const disk = await mountSmallDisk(folder, "8m");
      try {
        await using house = new House(folder);
        await house.start();
        await house.post();
        assertEquals(await house.stop(), 0);
        await disk.setWritable(false);
        const refused = await assertRejects(() => house.startAgain(), Error, "ended with 1");
        assertStringIncludes(refused.message, "mounted read-only");
        await disk.setWritable(true);
        await house.start();
        await house.assertWhole();
      } finally {
        await disk.unmount();
      }
    }),
});

for (
  const [what, errno, why] of [
    ["full", ENOSPC, "the disk is full; make room"],
    ["over quota", EDQUOT, "this user's disk quota is used up; make room, or raise it"],
    ["at the limit of a file's size", EFBIG, "a file has reached the largest size"],
  ] as const
) {
  Deno.test({
    name: `disk: one that takes no writes is ${what} until it takes them again` + WITHOUT_COMPILER,
    ignore: !canBuildLibraries,
    fn: () =>
      withFolder(async (folder) => {
        await using house = new House(folder);
        const flag = `${folder}/full`;
        await house.start(await failing(folder, { flag, errno }));
        await house.post();
        await Deno.writeTextFile(flag, "");
        assertTold(await house.post(), why);
        assertTold(await house.ready(), why);
        await Deno.remove(flag);
        await until(async () => (await house.ready()).status === 200, "it is ready again");
        assertEquals((await house.post()).status, 202);
        await house.assertWhole();
      }),
  });
}

const canLimit = await canRun("prlimit");

Deno.test({
  name: "disk: at ulimit -f the daemon lives on, and takes events once the limit is raised" +
    (canLimit ? "" : " (left out: there is no prlimit)"),
  ignore: !canLimit,
  fn: () =>
    withFolder(async (folder) => {
      await using house = new House(folder);
      await house.start();
      await house.post();
      await limitFileSize(house, `${2 ** 20}`);
      await until(async () => (await house.post()).status === 503, "a file reaches the limit");
      assertTold(await house.ready(), "a file has reached the largest size");
      await limitFileSize(house, "unlimited");
      await until(async () => (await house.ready()).status === 200, "it is ready again");
      assertEquals((await house.post()).status, 202);
      await house.assertWhole();
    }),
});

async function limitFileSize({ pid }: House, limit: string): Promise<void> {
  const args = [`--pid=${pid}`, `--fsize=${limit}:unlimited`];
  const { success, stderr } = await new Deno.Command("prlimit", { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}

Deno.test({
  name:
    "disk: one that turns read-only ends the daemon with an error, and what was accepted stays" +
    WITHOUT_COMPILER,
  ignore: !canBuildLibraries,
  fn: () =>
    withFolder(async (folder) => {
      await using house = new House(folder);
      const flag = `${folder}/read-only`;
      await house.start(await failing(folder, { flag, errno: EROFS }));
      await house.post();
      await house.settled();
      await Deno.writeTextFile(flag, "");
      assertTold(await house.post(), "reading, writing or syncing it failed");
      assertEquals(await house.ended(), 1);
      assertStringIncludes(await house.said, "bellhook: the database has failed");
      await Deno.remove(flag);
      await house.start();
      await house.assertWhole();
    }),
});

Deno.test("disk: a database that another program has locked is told with 503, until it lets go", () =>
  withFolder(async (folder) => {
    await using house = new House(folder);
    await house.start();
    {
      using other = new DatabaseSync(`${folder}/bellhook.db`);
      other.exec("begin immediate");
      assertTold(await house.post(), "another program has locked it; end that one");
      assertTold(await house.ready(), "another program has locked it; end that one");
      other.exec("rollback");
    }
    await until(async () => (await house.ready()).status === 200, "it is ready again");
    assertEquals((await house.post()).status, 202);
    await house.assertWhole();
  }));

async function withFolder(story: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await story(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Posts until five in a row found no room: a commit may still fit where another did not. */
async function fill(house: House): Promise<void> {
  for (let refused = 0; refused < 5;) {
    const answer = await house.post();
    if (answer.status === 202) refused = 0;
    else {
      assertTold(answer, "the disk");
      refused++;
    }
  }
}

function assertTold({ status, retryAfter, detail }: Answer, why: string): void {
  assertEquals([status, retryAfter], [503, "5"], detail);
  assertStringIncludes(detail, why);
}

async function failing(folder: string, { flag, errno }: { flag: string; errno: number }) {
  return watching({
    library: await buildWatchedDisk(folder),
    database: `${folder}/bellhook.db`,
    log: `${folder}/disk.log`,
    fault: { call: "write", whileThereIs: flag, errno },
  });
}
