import type { Clock } from "../runtime/clock.ts";
import { ProblemError } from "./problem.ts";
import { formatSize } from "../domain/duration.ts";

/** How long a publisher may take to send its body. */
const BODY_DEADLINE_MS = 30_000;
/** How much of a body that is refused is still read, so that the publisher sees the answer. */
const DRAIN_BYTES = 4 * 1024 * 1024;

/** Reads a body as UTF-8 text within a size and a deadline. Throws ProblemError: 400, 408, 413. */
export async function readText(
  request: Request,
  { maxBytes, clock }: { maxBytes: number; clock: Clock },
): Promise<string> {
  const bytes = await readBytes(request, { maxBytes, clock });
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new ProblemError({
      status: 400,
      title: "Bad Request",
      detail: "the body is not valid UTF-8",
    });
  }
}

async function readBytes(
  request: Request,
  { maxBytes, clock }: { maxBytes: number; clock: Clock },
): Promise<Uint8Array> {
  if (!request.body) return new Uint8Array();
  const reader = request.body.getReader();
  let late = false;
  const cancelTimer = clock.after(BODY_DEADLINE_MS, () => {
    late = true;
    void reader.cancel().catch(() => {});
  });
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (late) throw new ProblemError(tooLate());
      if (done && size <= maxBytes) {
        return chunks.length === 1 ? chunks[0]! : concat(chunks, size);
      }
      if (done) throw new ProblemError(tooLarge(maxBytes));
      size += value.length;
      if (size <= maxBytes) chunks.push(value);
      else chunks.length = 0;
      if (size > maxBytes + DRAIN_BYTES) {
        void reader.cancel().catch(() => {});
        throw new ProblemError(tooLarge(maxBytes));
      }
    }
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    throw new ProblemError(brokenOff());
  } finally {
    cancelTimer();
  }
}

function concat(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

const tooLarge = (maxBytes: number) => ({
  status: 413 as const,
  title: "Content Too Large",
  detail: `the body is larger than server.maxBody, ${formatSize(maxBytes)}; ` +
    "send fewer events at once, or raise it",
});

const tooLate = () => ({
  status: 408 as const,
  title: "Request Timeout",
  detail: `the body did not arrive within ${BODY_DEADLINE_MS / 1000} s`,
});

const brokenOff = () => ({
  status: 400 as const,
  title: "Bad Request",
  detail: "the body was broken off",
});
