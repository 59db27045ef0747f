import v8 from "node:v8";
import vm from "node:vm";

/** What this isolate holds on to once its rubbish is collected, heap and buffers, in MiB. */
export function usedMiB(): number {
  collect();
  const { heapUsed, external } = Deno.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

v8.setFlagsFromString("--expose-gc");
const collect: () => void = vm.runInNewContext("gc");
