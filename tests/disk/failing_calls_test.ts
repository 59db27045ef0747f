import { assert, assertEquals } from "@std/assert";
import { canBuildLibraries, WITHOUT_COMPILER } from "../support/shared_library.ts";
import { failOnce } from "./failing_call.ts";
import { buildWatchedDisk } from "./watched_disk.ts";

/** As the tables are made, as the daemon comes up, and under load. */
const CALLS = { write: [1, 90, 130, 160], sync: [3, 9, 20, 45] } as const;

Deno.test({
  name: "disk: a daemon whose write or fsync fails ends with an error and starts again whole" +
    WITHOUT_COMPILER,
  ignore: !canBuildLibraries,
  async fn(test) {
    const folder = await Deno.makeTempDir();
    const library = await buildWatchedDisk(folder);
    const failed = new Set<string>();
    for (const call of ["write", "sync"] as const) {
      for (const at of CALLS[call]) {
        await test.step(`${call} number ${at}`, async () => {
          const { file, wasReady, faults } = await failOnce({ library, call, at });
          assertEquals(faults, []);
          failed.add(`${call} ${file} ${wasReady ? "under load" : "at the start"}`);
        });
      }
    }
    await Deno.remove(folder, { recursive: true });
    // SQLite takes no notice of the folder: the daemon does.
    assert(failed.has("sync folder at the start"), [...failed].join());
    assert(failed.has("sync journal under load"), [...failed].join());
    assert(failed.has("write journal under load"), [...failed].join());
  },
});
