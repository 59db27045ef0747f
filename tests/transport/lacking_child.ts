/**
 * Run with few descriptors: takes them all and tells, a line each, what comes of a request then, to an
 * address and to a name; and what comes of one when they are there again.
 */
import { systemClock } from "../../src/runtime/clock.ts";
import { http1Transport } from "../../src/transport/http1_transport.ts";
import { MachineFault } from "../../src/transport/transport.ts";

const [url, named] = Deno.args as [string, string];
const transport = http1Transport({ clock: systemClock });
const send = async (url: string) => {
  try {
    const outcome = await transport.send({
      url,
      headers: [],
      body: new Uint8Array(),
      deadlineMs: 10_000,
      allowNetworks: ["127.0.0.0/8"],
      pool: url,
    });
    return outcome.kind === "answered" ? String(outcome.status) : outcome.error.kind;
  } catch (error) {
    return error instanceof MachineFault ? `lacks ${error.lack}` : String(error);
  }
};
const taken: Deno.FsFile[] = [];
try {
  for (;;) taken.push(Deno.openSync("/dev/null"));
} catch {
  // None is left.
}
const without = [await send(url), await send(named)];
for (const file of taken) file.close();
console.log([...without, await send(url), await send(named)].join("\n"));
await transport.close();
