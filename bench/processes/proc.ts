/** What processes and their descendants have used, from Linux's /proc. */
export interface Usage {
  readonly cpuSeconds: number;
  /** Resident memory; shared memory is counted once. */
  readonly residentBytes: number;
}

/** The usage of these processes and their descendants. */
export function usageOf(pids: readonly number[]): Usage {
  let cpuSeconds = 0, own = 0, file = 0, shared = 0;
  for (const pid of pids.flatMap(withDescendants)) {
    cpuSeconds += cpuSecondsOf(pid);
    const status = memoryOf(pid);
    own += status.anonymous;
    file = Math.max(file, status.file);
    shared = Math.max(shared, status.shared);
  }
  return { cpuSeconds, residentBytes: own + file + shared };
}

/** The CPU time that a process's threads have used, to a fraction of a millisecond; Linux alone has it. */
export function cpuMsOf(pid: number): number {
  let nanoseconds = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(read(`/proc/${pid}/task/${name}/schedstat`).split(" ")[0] ?? 0);
  }
  return nanoseconds / 1e6;
}

/** How many file descriptors a process has open. */
export function descriptorsOf(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

/** Watches the memory of processes until stopped; returns the maximum. */
export function watchMemory(pids: () => readonly number[]): () => number {
  let peak = usageOf(pids()).residentBytes;
  const timer = setInterval(() => {
    peak = Math.max(peak, usageOf(pids()).residentBytes);
  }, SAMPLE_MS);
  return () => {
    clearInterval(timer);
    return Math.max(peak, usageOf(pids()).residentBytes);
  };
}

const SAMPLE_MS = 200;
/** Linux's USER_HZ, the same on all common platforms. */
const TICKS_PER_SECOND = 100;

function withDescendants(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(" ").filter(
    Boolean,
  ).map(Number);
  return [pid, ...children.flatMap(withDescendants)];
}

/** CPU time of a process and of its ended children; living ones are counted separately. */
function cpuSecondsOf(pid: number): number {
  // The name, in parentheses, may contain anything; fields 14 to 17 are counted from its end.
  const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)!.split(" ");
  const ticks = fields.slice(11, 15).map(Number).reduce((sum, n) => sum + n, 0);
  return Number.isFinite(ticks) ? ticks / TICKS_PER_SECOND : 0;
}

function memoryOf(
  pid: number,
): { anonymous: number; file: number; shared: number } {
  const status = read(`/proc/${pid}/status`);
  const bytes = (name: string) =>
    1024 *
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
  return {
    anonymous: bytes("RssAnon"),
    file: bytes("RssFile"),
    shared: bytes("RssShmem"),
  };
}

/** Empty if the process has ended meanwhile. */
function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
