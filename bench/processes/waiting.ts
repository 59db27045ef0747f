/** Polls until the condition holds. Throws after the timeout. */
export async function until(
  what: string,
  { everyMs, limitMs }: { everyMs: number; limitMs: number },
  ask: () => boolean | Promise<boolean>,
): Promise<void> {
  const endsAt = performance.now() + limitMs;
  while (!await ask()) {
    if (performance.now() > endsAt) {
      throw new Error(`${what}: not within ${limitMs / 1_000} s`);
    }
    await pause(everyMs);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether a server answers a GET successfully. */
export async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/** A free port. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}
