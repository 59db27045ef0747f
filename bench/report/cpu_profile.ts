/** One function in V8's profile. */
interface Node {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly Node[];
  readonly samples: readonly number[];
  /** In microseconds, one for each sample. */
  readonly timeDeltas: readonly number[];
}

/** The functions with the most self time in a CPU profile (V8's JSON), one line each. */
export function cpuProfile(text: string, { lines }: { readonly lines: number }): string {
  const { nodes, samples, timeDeltas } = JSON.parse(text) as Profile;
  const names = namesOf(nodes);
  const selfMs = new Map<string, number>();
  let busyMs = 0;
  for (const [index, id] of samples.entries()) {
    const name = names.get(id)!, tookMs = timeDeltas[index]! / 1_000;
    if (WAITING.has(name)) continue;
    busyMs += tookMs;
    selfMs.set(name, (selfMs.get(name) ?? 0) + tookMs);
  }
  const top = [...selfMs].sort(([, a], [, b]) => b - a).slice(0, lines);
  return [
    `${busyMs.toFixed(0)} ms of CPU time; by function, without what it calls:`,
    ...top.map(([name, ms]) =>
      `${(100 * ms / busyMs).toFixed(1).padStart(6)} % ${ms.toFixed(0).padStart(7)} ms  ${name}`
    ),
  ].join("\n");
}

const WAITING: ReadonlySet<string> = new Set(["(idle)", "(root)"]);

/** Names a function of the runtime together with its caller: `run` alone would be any SQL statement. */
function namesOf(nodes: readonly Node[]): Map<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const names = new Map(nodes.map((node) => [node.id, nameOf(node)]));
  for (const caller of nodes) {
    for (const id of caller.children ?? []) {
      const { url, functionName } = byId.get(id)!.callFrame;
      if (url === "" && !functionName.startsWith("(")) {
        names.set(id, `${functionName} of ${nameOf(caller)}`);
      }
    }
  }
  return names;
}

function nameOf({ callFrame: { functionName, url, lineNumber } }: Node): string {
  if (url === "") return functionName;
  const file = url.replace(/^.*\/(?=src\/|node_modules\/)|^.*\/npm\//, "");
  return `${functionName || "(anonymous)"}  ${file}:${lineNumber + 1}`;
}
