import { assert, assertEquals } from "@std/assert";
import { openSqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";

/** Which call to which file fails, the how manieth: in the journal, and when it is moved over. */
const FAULTS = [
  { call: "sync", file: "outbox.db-wal", at: 30 },
  { call: "write", file: "outbox.db-wal", at: 600 },
  { call: "sync", file: "outbox.db", at: 6 },
  { call: "write", file: "outbox.db", at: 700 },
] as const;

const hasCompiler = await canCompile();

for (const { call, file, at } of FAULTS) {
  Deno.test({
    name: `a failed ${call} of ${file} ends the outbox, and loses nothing that it acknowledged` +
      (hasCompiler ? "" : " (left out: there is no gcc to build a failing disk with)"),
    ignore: !hasCompiler,
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

async function canCompile(): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  try {
    const command = new Deno.Command("gcc", {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    });
    return (await command.output()).success;
  } catch {
    return false;
  }
}

async function runOnFailingDisk(
  folder: string,
  { path, call, file, at }: { path: string; call: string; file: string; at: number },
): Promise<{ code: number; lines: string[] }> {
  const library = `${folder}/failing_disk.so`;
  const source = new URL("./failing_disk.c", import.meta.url).pathname;
  const built = await new Deno.Command("gcc", {
    args: ["-shared", "-fPIC", "-o", library, source, "-ldl"],
  }).output();
  assert(built.success, new TextDecoder().decode(built.stderr));
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
