/** A receiver on a bare socket, where the test controls every byte and how connections end. */
import { Buffer } from "node:buffer";
import net from "node:net";

/** One connection, from the receiver's side. */
export interface Peer {
  /** Waits for a request's head, which ends with a blank line. */
  head(): Promise<void>;
  /** Waits for a whole request, by its Content-Length. */
  request(): Promise<void>;
  /** Sends text as Latin-1, or bytes. Resolves when more can be sent; to false if the peer has gone. */
  write(piece: string | Uint8Array): Promise<boolean>;
  /** Waits; resolves to false if the connection has ended. */
  rest(ms: number): Promise<boolean>;
  /** Waits until the other side closes. */
  gone(): Promise<void>;
  /** Stops reading. */
  stopReading(): void;
  /** Closes only our direction. */
  halfClose(): void;
  close(): void;
  /** Ends with RST instead of FIN. */
  reset(): void;
}

export interface HostileServer {
  readonly port: number;
  /** `http://127.0.0.1:PORT/` */
  readonly url: string;
  readonly connectionCount: number;
  readonly openCount: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Listens on loopback, and handles each connection with this function. */
export async function startHostileServer(
  treat: (peer: Peer) => void | Promise<void>,
  { hostname = "127.0.0.1", port = 0 } = {},
): Promise<HostileServer> {
  const open = new Set<net.Socket>();
  const treatments = new Set<Promise<void>>();
  let connectionCount = 0;
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    connectionCount++;
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    const treatment = Promise.resolve(treat(asPeer(socket)))
      .finally(() => treatments.delete(treatment));
    treatments.add(treatment);
  });
  await new Promise<void>((resolve) => server.listen(port, hostname, resolve));
  const address = server.address() as net.AddressInfo;
  return {
    port: address.port,
    url: `http://${hostname}:${address.port}/`,
    get connectionCount() {
      return connectionCount;
    },
    get openCount() {
      return open.size;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await Promise.all([closed, ...treatments]);
    },
  };
}

function asPeer(socket: net.Socket): Peer {
  let received = "";
  let arrived = Promise.withResolvers<void>();
  const wake = () => {
    arrived.resolve();
    arrived = Promise.withResolvers();
  };
  const gone = Promise.withResolvers<void>();
  socket.on("data", (bytes: Buffer) => {
    received += bytes.toString("latin1");
    wake();
  });
  socket.on("error", () => {});
  // The other side's end is the end, unless this side goes on writing on purpose.
  socket.on("end", () => {
    wake();
    gone.resolve();
  });
  socket.on("close", () => {
    wake();
    gone.resolve();
  });
  const isGone = () => socket.destroyed || socket.readableEnded;
  const until = async (isThere: () => boolean) => {
    while (!isThere() && !isGone()) await arrived.promise;
  };
  return {
    head: () => until(() => received.includes("\r\n\r\n")),
    request: () =>
      until(() => {
        const end = received.indexOf("\r\n\r\n") + 4;
        const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? 0);
        return end >= 4 && received.length >= end + length;
      }),
    async write(piece) {
      if (isGone()) return false;
      const bytes = typeof piece === "string" ? Buffer.from(piece, "latin1") : piece;
      const taken = Promise.withResolvers<void>();
      socket.write(bytes, () => taken.resolve());
      await Promise.race([taken.promise, gone.promise]);
      return !isGone();
    },
    async rest(ms) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const passed = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
      await Promise.race([passed, gone.promise]);
      clearTimeout(timer);
      return !isGone();
    },
    gone: () => gone.promise,
    stopReading: () => void socket.pause(),
    halfClose: () => void socket.end(),
    close: () => void socket.destroy(),
    reset: () => void socket.resetAndDestroy(),
  };
}
