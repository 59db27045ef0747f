/** Where to make temporary folders for much that comes and goes: in memory, where the machine can. */
export async function inMemory(): Promise<Deno.MakeTempOptions> {
  const stat = await Deno.stat("/dev/shm").catch(() => undefined);
  return { prefix: "bellhook-", ...(stat?.isDirectory ? { dir: "/dev/shm" } : {}) };
}
