import v8 from "node:v8";
import vm from "node:vm";

/** This isolate's heap and buffers after garbage collection, in MiB. */
export function usedMiB(): number {
  collect();
  const { heapUsed, external } = Deno.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

v8.setFlagsFromString("--expose-gc");
const collect: () => void = vm.runInNewContext("gc");
