import { assert, assertEquals } from "@std/assert";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { buildLibrary, canBuildLibraries, WITHOUT_COMPILER } from "../support/shared_library.ts";

/** Which call to which file fails, the how manieth: in the journal, and when it is moved over. */
const FAULTS = [
  { call: "sync", file: "outbox.db-wal", at: 30 },
  { call: "write", file: "outbox.db-wal", at: 600 },
  { call: "sync", file: "outbox.db", at: 6 },
  { call: "write", file: "outbox.db", at: 700 },
] as const;

for (const { call, file, at } of FAULTS) {
  Deno.test({
    name: `a failed ${call} of ${file} ends the outbox, and loses nothing that it acknowledged` +
      WITHOUT_COMPILER,
    ignore: !canBuildLibraries,
    async fn() {
      const folder = await Deno.makeTempDir();
      try {
        const path = `${folder}/outbox.db`;
        const { code, lines } = await runOnFailingDisk(folder, { path, call, file, at });
        assertEquals(lines.filter((line) => line.startsWith("failed")), [
          "failed rejected rejected rejected rejected",
          "failed true",
        ]);
        assertEquals(code, 1);
        const stored = idsAfter("stored", lines), sent = idsAfter("delivered", lines);
        assert(stored.length > 20 && sent.length > 20, `only ${stored.length} were stored`);

        const outbox = await openSqliteOutbox(path);
        for (const id of stored) assertEquals((await outbox.event(id))?.id, id);
        for (const id of sent) {
          assertEquals((await outbox.deliveriesOf(id)).map(({ state }) => state), ["delivered"]);
        }
        assertEquals((await outbox.audit()).faults, []);
        await outbox.close();
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

async function runOnFailingDisk(
  folder: string,
  { path, call, file, at }: { path: string; call: string; file: string; at: number },
): Promise<{ code: number; lines: string[] }> {
  const library = `${folder}/failing_disk.so`;
  await buildLibrary(new URL("./failing_disk.c", import.meta.url), library);
  const script = new URL("./enqueue_until_failed.ts", import.meta.url).pathname;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-check", "--allow-read", "--allow-write", script, path],
    env: { LD_PRELOAD: library, FAIL_CALL: call, FAIL_FILE: file, FAIL_AT: String(at) },
    stderr: "inherit",
  }).output();
  return { code, lines: new TextDecoder().decode(stdout).split("\n") };
}

function idsAfter(word: string, lines: readonly string[]): string[] {
  return lines.filter((line) => line.startsWith(`${word} `)).map((line) =>
    line.slice(word.length + 1)
  );
}
