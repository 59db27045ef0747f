import { DatabaseSync } from "node:sqlite";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { freePort, kill, startServe } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { failingAtFirst, writeConfig } from "./recording.ts";
import type { Image } from "./disk_image.ts";

/** Writes an image into a folder, and returns the database's path. */
export async function writeImage(folder: string, image: Image): Promise<string> {
  const path = `${folder}/bellhook.db`;
  const ends = { database: "", journal: "-wal", rollback: "-journal" } as const;
  for (const [name, bytes] of image) {
    await Deno.writeFile(path + ends[name], bytes, { mode: 0o600 });
  }
  return path;
}

/** Opens a database after a power failure like the daemon; returns violations of the guarantees. */
export async function examine(path: string, accepted: Iterable<string>): Promise<string[]> {
  try {
    const faults = await examineOpened(path, accepted);
    using db = new DatabaseSync(path);
    const found = Object.values(db.prepare("pragma integrity_check").get()!)[0];
    return found === "ok" ? faults : [...faults, `damaged: ${found}`];
  } catch (error) {
    return [`it does not open: ${(error as Error).message}`];
  }
}

async function examineOpened(path: string, accepted: Iterable<string>): Promise<string[]> {
  const outbox = await openSqliteOutbox(path);
  try {
    const faults = [...(await outbox.audit()).faults];
    for (const id of accepted) {
      const event = await outbox.event(id);
      if (!event) faults.push(`${id} was accepted, and is not there`);
      else if (JSON.parse(event.data).number !== Number(id.slice(3))) {
        faults.push(`${id} is another's: ${event.data.slice(0, 50)}`);
      }
    }
    return faults;
  } finally {
    await outbox.close();
  }
}

/** Runs a real daemon on a database after a power failure until everything is delivered. */
export async function serveOn(folder: string, accepted: readonly string[]): Promise<string[]> {
  const receiver = failingAtFirst();
  const port = freePort();
  await writeConfig(folder, { port, receiver: receiver.url });
  const { process, ready } = startServe(folder, port);
  try {
    await ready;
    const posted = await fetch(`http://127.0.0.1:${port}/v1/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id: "ev-0", type: "booking.created", data: { number: 0 } }),
    });
    await posted.body?.cancel();
    const url = `http://127.0.0.1:${port}/v1/deliveries?state=pending&limit=1`;
    await until(
      async () => (await (await fetch(url)).json()).items.length === 0,
      "all is delivered",
    );
    process.kill("SIGTERM");
    const { code } = await process.status;
    return [
      ...(posted.status === 202 ? [] : [`a new event was answered ${posted.status}`]),
      ...(code === 0 ? [] : [`the daemon ended with ${code}`]),
      ...await examine(`${folder}/bellhook.db`, accepted),
    ];
  } catch (error) {
    await kill(process);
    return [(error as Error).message];
  } finally {
    await receiver.close();
  }
}
