import { Failure } from "./failure.ts";

/** So many TLS handshakes with one address and port may hang before no other is begun there. */
const MOST = 2;

/**
 * TLS handshakes that were given up. The runtime can't end one: closed or not, its connection stays
 * open until the receiver answers or closes it. So they are counted, and bounded for each peer: a
 * receiver that never answers would otherwise take one descriptor more with each attempt.
 */
export class HungHandshakes {
  readonly #counts = new Map<string, number>();
  readonly #open = new Set<Deno.TlsConn>();

  /** Throws a Failure where enough of them hang already. */
  assertFewWith(peer: string, address: string): void {
    const count = this.#counts.get(peer) ?? 0;
    if (count < MOST) return;
    throw new Failure("tls", `${count} earlier TLS handshakes with ${peer} still hang`, address);
  }

  /** Resolves when the handshake has come to an end after all, and its connection with it. */
  async untilEnded(peer: string, conn: Deno.TlsConn, handshake: Promise<unknown>): Promise<void> {
    this.#counts.set(peer, (this.#counts.get(peer) ?? 0) + 1);
    this.#open.add(conn);
    await handshake.catch(() => {});
    this.#close(conn);
    const left = this.#counts.get(peer)! - 1;
    if (left === 0) this.#counts.delete(peer);
    else this.#counts.set(peer, left);
  }

  /** Lets go of them all. */
  close(): void {
    for (const conn of [...this.#open]) this.#close(conn);
  }

  #close(conn: Deno.TlsConn): void {
    if (!this.#open.delete(conn)) return;
    try {
      conn.close();
    } catch {
      // It was gone before.
    }
  }
}
