import { assert, assertEquals } from "@std/assert";
import { freePort, kill, startServe } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { buildLibrary, canBuildLibraries, WITHOUT_COMPILER } from "../support/shared_library.ts";
import { until } from "../support/until.ts";

const HANGING = 40;
const EVENTS = 100;
/** So long an answer of a name server is good. */
const ADDRESSES_KEPT_MS = 10_000;

Deno.test({
  name: `name servers: those that never answer delay nobody else${WITHOUT_COMPILER}`,
  ignore: !canBuildLibraries,
  async fn() {
    const folder = await Deno.makeTempDir();
    // It closes every connection, so that every delivery needs another.
    await using receiver = startRawServer({ close: true });
    const port = freePort();
    await writeConfig(folder, { port, receiverPort: receiver.port });
    const library = `${folder}/names.so`;
    await buildLibrary(new URL("./name_servers.c", import.meta.url), library);
    const asked = `${folder}/asked`;
    const env = { LD_PRELOAD: library, NAMES_ASKED_FOR: asked };
    const { process, ready } = startServe(folder, port, env);
    try {
      await ready;
      // The names that hang are asked for first.
      assertEquals(await post(port, "first"), 202);
      const startedAt = performance.now();
      for (let i = 1; i < EVENTS; i++) assertEquals(await post(port, `ev-${i}`), 202);
      // Whoever waited for one of the others would wait for an hour.
      await until(() => receiver.requests.length >= EVENTS, "all have arrived");
      const tookMs = performance.now() - startedAt;
      const names = (await Deno.readTextFile(asked)).split("\n").filter(Boolean);
      const lookups = names.filter((name) => name === "receiver.here").length;
      const most = 2 + tookMs / ADDRESSES_KEPT_MS;
      assert(lookups <= most, `${lookups} lookups for ${EVENTS} deliveries in ${tookMs} ms`);
      const hung = names.filter((name) => name.endsWith(".hangs"));
      assertEquals(new Set(hung).size, hung.length, "no name is looked up twice while it hangs");
      assert(hung.length <= 12, `${hung.length} threads hang`);
    } finally {
      await kill(process);
      await Deno.remove(folder, { recursive: true });
    }
  },
});

async function writeConfig(
  folder: string,
  { port, receiverPort }: { port: number; receiverPort: number },
): Promise<void> {
  const common = {
    events: ["*"],
    secret: { file: "secret" },
    allowHttp: true,
    allowNetworks: ["127.0.0.0/8"],
    retry: ["1h"],
  };
  const subscriptions = [
    ...Array.from({ length: HANGING }, (_, i) => ({
      ...common,
      id: `hanging-${i}`,
      url: `http://api${i}.customers.hangs:${receiverPort}/`,
    })),
    { ...common, id: "healthy", url: `http://receiver.here:${receiverPort}/` },
  ];
  const config = { server: { listen: `127.0.0.1:${port}` }, subscriptions };
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
  await Deno.writeTextFile(`${folder}/secret`, `whsec_${btoa("x".repeat(32))}\n`);
}

async function post(port: number, id: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ id, type: "t", data: {} }),
  });
  await response.body?.cancel();
  return response.status;
}
