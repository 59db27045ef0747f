import { runToEnd } from "../processes/child.ts";

/** The machine of a run: figures mean nothing without it. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly fileSystem: string;
  /** Versions of runtimes and services, by name. */
  readonly versions: Readonly<Record<string, string>>;
  /** The load average of the last minute before the run. */
  readonly loadBefore: number;
}

export async function describeMachine(folder: string): Promise<Machine> {
  const cpuInfo = Deno.readTextFileSync("/proc/cpuinfo");
  return {
    cpu: /^model name\s*: (.*)$/m.exec(cpuInfo)?.[1] ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    memoryGiB: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
    kernel: Deno.osRelease(),
    fileSystem: (await said("stat", "-f", "-c", "%T", folder)) ?? "unknown",
    versions: {
      deno: Deno.version.deno,
      redis: /v=(\S+)/.exec(await said("redis-server", "--version") ?? "")?.[1] ??
        "none",
      postgresql: / (\d\S*)/.exec(await said("psql", "--version") ?? "")?.[1] ??
        "none",
      ...libraries(),
    },
    loadBefore: Deno.loadavg()[0]!,
  };
}

/** Describes the machine in one line. */
export function formatMachine(machine: Machine): string {
  const { cpu, cores, memoryGiB, kernel, fileSystem, versions, loadBefore } = machine;
  const software = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, ${fileSystem}; ` +
    `${software.join(", ")}; load before ${loadBefore.toFixed(2)}`;
}

function libraries(): Record<string, string> {
  const config = Deno.readTextFileSync(
    new URL("../deno.json", import.meta.url),
  );
  const { imports } = JSON.parse(config) as { imports: Record<string, string> };
  return Object.fromEntries(
    ["bullmq", "pg-boss"].map((
      name,
    ) => [name, imports[name]?.split("@").at(-1) ?? "none"]),
  );
}

/** A command's output; undefined if it isn't installed. */
async function said(
  command: string,
  ...args: string[]
): Promise<string | undefined> {
  try {
    return (await runToEnd(command, args)).trim();
  } catch {
    return undefined;
  }
}
