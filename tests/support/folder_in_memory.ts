/** The parent of temporary folders with many short-lived files: in memory if possible. */
export async function inMemory(): Promise<Deno.MakeTempOptions> {
  const stat = await Deno.stat("/dev/shm").catch(() => undefined);
  return { prefix: "bellhook-", ...(stat?.isDirectory ? { dir: "/dev/shm" } : {}) };
}
