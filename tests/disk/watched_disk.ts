import { buildLibrary } from "../support/shared_library.ts";

/** The files that make a database, and the folder that names them. */
export type DiskFile = "database" | "journal" | "rollback" | "folder";

/** What happened to a database, in its order: see `watched_disk.c`. */
export type Step =
  | {
    readonly kind: "write";
    readonly file: DiskFile;
    readonly at: number;
    readonly bytes: Uint8Array<ArrayBuffer>;
  }
  | { readonly kind: "truncate"; readonly file: DiskFile; readonly length: number }
  | { readonly kind: "unlink"; readonly file: DiskFile }
  /** What was written before it is durable once the sync of that number has succeeded. */
  | { readonly kind: "syncing"; readonly file: DiskFile; readonly number: number }
  | { readonly kind: "synced"; readonly file: DiskFile; readonly number: number }
  /** A write or sync was made to fail. */
  | { readonly kind: "failed"; readonly file: DiskFile; readonly call: string }
  /** An answer of 202 was about to leave, for these events. */
  | { readonly kind: "accepted"; readonly events: readonly string[] };

/** Which call fails, and when. */
export type Fault =
  | { readonly call: "sync" | "write"; readonly at: number }
  /** As long as there is such a file. */
  | { readonly call: "sync" | "write"; readonly whileThereIs: string; readonly errno: number };

/** Builds the library into a folder; answers its path. */
export async function buildWatchedDisk(folder: string): Promise<string> {
  const library = `${folder}/watched_disk.so`;
  await buildLibrary(new URL("./watched_disk.c", import.meta.url), library);
  return library;
}

/** A database, and the log of one process that has it. */
export interface Watched {
  readonly database: string;
  readonly log: string;
}

/** The environment of a process whose disk is watched. */
export function watching(
  { library, database, log, fault }: Watched & {
    readonly library: string;
    readonly fault?: Fault;
  },
): Record<string, string> {
  const watched = { LD_PRELOAD: library, WATCH_DATABASE: database, WATCH_LOG: log };
  if (!fault) return watched;
  if ("at" in fault) return { ...watched, FAIL_CALL: fault.call, FAIL_AT: String(fault.at) };
  const { call, whileThereIs, errno } = fault;
  return {
    ...watched,
    FAIL_CALL: call,
    FAIL_WHILE: whileThereIs,
    FAIL_ERROR: String(errno),
  };
}

/**
 * Reads the log of one process, before another opens the database. One that is killed may leave its last
 * note half written, of a write that was made: its bytes are in the file.
 */
export async function readSteps({ log, database }: Watched): Promise<Step[]> {
  const bytes = await Deno.readFile(log);
  const view = new DataView(bytes.buffer);
  const answers = new Map<number, Answer>();
  const steps: Step[] = [];
  for (let from = 0; from + HEAD_BYTES <= bytes.length;) {
    const kind = String.fromCharCode(view.getUint8(from));
    const file = FILES[view.getUint8(from + 1)]!;
    const size = view.getUint32(from + 4, true);
    const at = Number(view.getBigUint64(from + 8, true));
    const end = from + HEAD_BYTES + size;
    const isWhole = end <= bytes.length;
    if (!isWhole && kind !== "w") break;
    const data = isWhole
      ? bytes.subarray(from + HEAD_BYTES, end)
      : await readBytes(database + ENDINGS[file], { at, size });
    from = end;
    if (kind === "a") {
      const answer: Answer = { events: [], text: "" };
      answers.set(at, answer);
      steps.push({ kind: "accepted", events: answer.events });
    }
    if (kind === "a" || kind === "b") hear(answers.get(at)!, data);
    else steps.push(stepOf(kind, { file, at, bytes: data }));
  }
  return steps;
}

const HEAD_BYTES = 16;

const FILES: readonly DiskFile[] = ["database", "journal", "rollback", "folder"];

const ENDINGS = { database: "", journal: "-wal", rollback: "-journal", folder: "" } as const;

async function readBytes(
  path: string,
  { at, size }: { at: number; size: number },
): Promise<Uint8Array<ArrayBuffer>> {
  return (await Deno.readFile(path)).slice(at, at + size);
}

function stepOf(
  kind: string,
  { file, at, bytes }: { file: DiskFile; at: number; bytes: Uint8Array<ArrayBuffer> },
): Step {
  switch (kind) {
    case "w":
      return { kind: "write", file, at, bytes };
    case "t":
      return { kind: "truncate", file, length: at };
    case "u":
      return { kind: "unlink", file };
    case "S":
      return { kind: "syncing", file, number: at };
    case "s":
      return { kind: "synced", file, number: at };
    case "f":
      return { kind: "failed", file, call: new TextDecoder().decode(bytes) };
  }
  throw new Error(`the log of a watched disk has a "${kind}"`);
}

/** One that leaves in pieces; it counts from its first. */
interface Answer {
  readonly events: string[];
  text: string;
}

/** Of one that never left whole nobody has heard. All in it is ASCII. */
function hear(answer: Answer, piece: Uint8Array<ArrayBuffer>): void {
  answer.text += new TextDecoder().decode(piece);
  const [head = "", body = ""] = answer.text.split("\r\n\r\n");
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
  if (body.length !== length) return;
  answer.events.push(...[JSON.parse(body)].flat().map(({ id }) => id));
  answer.text = "";
}
