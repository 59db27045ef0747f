import { isAbsolute, resolve } from "node:path";
import { isLoopback } from "../domain/loopback.ts";
import { hostKind } from "../transport/address_guard.ts";
import type { Listen } from "./config.ts";

/** The longest path a Unix socket can have on Linux, in bytes. */
const LONGEST_SOCKET_PATH = 107;

/** Parses `host:port`, `[address]:port` or `unix:/path`. A relative path starts in `directory`. */
export function parseListen(
  text: string,
  directory: string,
): Listen | { readonly kind: "fault"; readonly message: string; readonly fix: string } {
  if (text.startsWith("unix:")) {
    const name = text.slice("unix:".length);
    const path = isAbsolute(name) ? name : resolve(directory, name);
    if (name !== "" && new TextEncoder().encode(path).length <= LONGEST_SOCKET_PATH) {
      return { kind: "unix", path };
    }
    const message = name === ""
      ? "the socket has no path"
      : `the socket's path has more than ${LONGEST_SOCKET_PATH} bytes`;
    return { kind: "fault", message, fix: 'write it as "unix:/run/bellhook.sock"' };
  }
  const parts = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  const host = parts?.[1] ?? parts?.[2];
  const six = parts?.[1] !== undefined;
  if (host === undefined || port > 65_535 || six && hostKind(host).kind !== "address") {
    const fix = 'write it as "127.0.0.1:8420", "[::1]:8420" or "unix:/run/bellhook.sock"';
    return { kind: "fault", message: "the text is no address to listen on", fix };
  }
  return { kind: "tcp", host: boundHost(host), port };
}

/** Names such as localhost always mean loopback. No name server is asked about them. */
function boundHost(host: string): string {
  const kind = hostKind(host);
  if (kind.kind === "loopbackName") return "127.0.0.1";
  return kind.kind === "address" ? kind.address : host;
}

/** Whether only this machine can connect to it. */
export function isLocal(listen: Listen): boolean {
  if (listen.kind === "unix") return true;
  const host = hostKind(listen.host);
  if (host.kind === "loopbackName") return true;
  return host.kind === "address" && isLoopback(host.address);
}
