import { assert, assertEquals } from "@std/assert";
import { listFolders, type Listing, stampsOf } from "../../src/config/listing.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { Turn } from "../../src/runtime/turn.ts";
import { FakeClock } from "../support/fake_clock.ts";

const LATER = Date.now() + 60_000;
const here = { turn: undefined, isMany: false };
/** Where the loop worked in slices, it would ask for the time. */
const untimed = new FakeClock();
untimed.monotonicMs = () => {
  throw new Error("the loop does what the thread should");
};
const thread = { turn: new Turn(untimed), isMany: true };

/** A folder with files, a folder, a hidden file and links, one of which leads nowhere. */
async function aFolder(): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const name of ["b.json", "a.json", ".hidden", "ä.json"]) {
    await Deno.writeTextFile(`${folder}/${name}`, name);
  }
  await Deno.mkdir(`${folder}/c`);
  await Deno.symlink(`${folder}/c`, `${folder}/d`);
  await Deno.symlink(`${folder}/a.json`, `${folder}/e`);
  await Deno.symlink(`${folder}/nowhere`, `${folder}/f`);
  return folder;
}

const told = ({ names, stamps }: Listing) =>
  names.map((name, at) => [name, stamps.isFolder(at), stamps.text(at) !== undefined]);

Deno.test("listing: names in order without hidden ones, folders told apart, in a thread as well", async () => {
  const folder = await aFolder();
  for (const how of [here, { ...here, turn: new Turn(systemClock) }, thread]) {
    const [listing, none] = await listFolders([folder, `${folder}/none`], how, LATER);
    assertEquals(told(listing!), [
      ["a.json", false, true],
      ["b.json", false, true],
      ["c", true, true],
      ["d", true, true],
      ["e", false, true],
      ["f", false, false],
      ["ä.json", false, true],
    ]);
    assertEquals(none!.names, []);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("listing: a stamp is the same until the file changes, by whatever way it was made", async () => {
  const folder = await aFolder();
  const [before] = await listFolders([folder], here, LATER);
  const [after] = await listFolders([folder], thread, LATER);
  assert(after!.stamps.isSame(0, before!.stamps, 0));
  assert(!after!.stamps.isSame(0, before!.stamps, 1));
  const alone = await stampsOf([`${folder}/a.json`], here, LATER);
  assertEquals(alone.text(0), before!.stamps.text(0));
  await Deno.writeTextFile(`${folder}/a.json`, "another text");
  const [changed] = await listFolders([folder], here, LATER);
  assert(!changed!.stamps.isSame(0, before!.stamps, 0));
  assert(changed!.stamps.isSame(1, before!.stamps, 1));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("listing: a file of the same size and mtime that was put in another's place is another", async () => {
  const folder = await Deno.makeTempDir();
  const [old, other] = [`${folder}/a.json`, `${folder}/b.json`];
  const then = new Date("2024-03-15T10:00:00Z");
  for (const path of [old, other]) {
    await Deno.writeTextFile(path, path === old ? "1" : "2");
    await Deno.utime(path, then, then);
  }
  const before = await stampsOf([old], here, LATER);
  await Deno.rename(other, old);
  const after = await stampsOf([old], here, LATER);
  assert(!after.isSame(0, before, 0));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("listing: a file that was changed a moment ago has no stamp yet, and is like no other", async () => {
  const path = await Deno.makeTempFile();
  const then = (await Deno.stat(path)).mtime!.getTime();
  const soon = await stampsOf([path], here, then + 1_000);
  assertEquals(soon.text(0), undefined);
  assert(!soon.isSame(0, soon, 0));
  const later = await stampsOf([path], here, then + 60_000);
  assert(later.text(0) !== undefined);
  await Deno.remove(path);
  assertEquals((await stampsOf([path], here, then + 60_000)).text(0), undefined);
});
