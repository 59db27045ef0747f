import type { Environment } from "../runtime/environment.ts";

/** What the daemon tells the service manager that started it, if one did. */
export interface ServiceManager {
  /** It takes events now. */
  ready(status: string): void;
  /** It is going its rounds: for the watchdog. */
  alive(): void;
  /** It is not ready yet, but at work: it may take so much longer from now on. */
  working(status: string, byMs: number): void;
  /** It is ending, and may take so long. */
  stopping(byMs: number): void;
  close(): void;
}

/**
 * systemd, as sd_notify(3) has it: datagrams to the socket that `NOTIFY_SOCKET` names. Without it
 * nobody listens, and nothing is sent. `say` is told why something could not be.
 */
export function serviceManager(
  environment: Environment,
  say: (trouble: string) => void,
): ServiceManager {
  const name = environment.get("NOTIFY_SOCKET");
  const socket = name ? openSocket(say) : undefined;
  if (!name || !socket) return NOBODY;
  const to = { transport: "unixpacket", path: name.replace(/^@/, "\0") } as const;
  const tell = (...lines: string[]) => {
    const told = socket.send(new TextEncoder().encode(lines.join("\n")), to);
    told.catch((error) => say(`can't tell systemd: ${(error as Error).message}`));
  };
  return {
    ready: (status) => tell("READY=1", `STATUS=${status}`),
    alive: () => tell("WATCHDOG=1"),
    working: (status, byMs) => tell(extension(byMs), `STATUS=${status}`),
    stopping(byMs) {
      tell("STOPPING=1");
      tell(extension(byMs));
    },
    close: () => socket.close(),
  };
}

const NOBODY: ServiceManager = {
  ready() {},
  alive() {},
  working() {},
  stopping() {},
  close() {},
};

/** Has it wait so long at least, whatever its own limit is. */
function extension(byMs: number): string {
  return `EXTEND_TIMEOUT_USEC=${Math.ceil(byMs) * 1_000}`;
}

/** Deno's Unix datagram sockets, which it has under `--unstable-net` alone and types nowhere else. */
interface UnixDatagrams {
  readonly listenDatagram?: (
    options: { readonly transport: "unixpacket"; readonly path: string },
  ) => DatagramSocket;
}

interface DatagramSocket {
  send(
    bytes: Uint8Array,
    to: { readonly transport: "unixpacket"; readonly path: string },
  ): Promise<number>;
  close(): void;
}

function openSocket(say: (trouble: string) => void): DatagramSocket | undefined {
  const { listenDatagram } = Deno as UnixDatagrams;
  if (!listenDatagram) {
    say(
      "can't tell systemd: Deno has Unix datagrams only with --unstable-net; see install-service",
    );
    return undefined;
  }
  try {
    // A name that begins with NUL is Linux's for a socket that is no file.
    return listenDatagram({ transport: "unixpacket", path: `\0bellhook-${Deno.pid}` });
  } catch (error) {
    say(`can't tell systemd: ${(error as Error).message}`);
    return undefined;
  }
}
