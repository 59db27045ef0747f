import { isLoopback } from "../domain/loopback.ts";
import { MachineFault } from "./transport.ts";

/** What the system's error says that the machine lacks; undefined where it says nothing of the kind. */
export function machineFault(error: unknown, address?: string): MachineFault | undefined {
  const { code, message } = error as { code?: string; message: string };
  switch (code) {
    case "EMFILE":
      return new MachineFault("descriptors", "this process has no descriptor left (ulimit -n)");
    case "ENFILE":
      return new MachineFault("descriptors", "this machine has no descriptor left (fs.file-max)");
    case "ENOMEM":
    case "ENOBUFS":
    case "EAI_MEMORY":
      return new MachineFault("memory", `this machine has no memory left: ${message}`);
    case "EAGAIN":
      return new MachineFault("processes", `this machine can start no more processes: ${message}`);
    case "ENETDOWN":
      return new MachineFault("network", "this machine's network is down");
    case "ENETUNREACH":
      return address !== undefined && isOffline(address)
        ? new MachineFault("network", "this machine has no network but loopback")
        : undefined;
    case "EADDRNOTAVAIL":
      return address !== undefined && hasFamilyOf(address)
        ? new MachineFault("ports", `this machine has no local port left for ${address}`)
        : undefined;
  }
  return undefined;
}

/** Where the process has no descriptor left for what was to be done. */
export function noDescriptors(purpose: string): MachineFault {
  return new MachineFault(
    "descriptors",
    `this process has no descriptor left (ulimit -n) to ${purpose} with`,
  );
}

/** Without a single address beyond loopback: an address of the other family is no receiver's fault either. */
function isOffline(address: string): boolean {
  return !isLoopback(address) && !interfaces().some((own) => !isLoopback(own) && !isLinkLocal(own));
}

/** A machine without IPv6 says "not available" of every such address, however many ports are free. */
function hasFamilyOf(address: string): boolean {
  if (!address.includes(":")) return true;
  return interfaces().some((own) =>
    own.includes(":") && isLoopback(own) === isLoopback(address) && !isLinkLocal(own)
  );
}

function interfaces(): string[] {
  return Deno.networkInterfaces().map(({ address }) => address);
}

function isLinkLocal(address: string): boolean {
  return address.startsWith("fe80:") || address.startsWith("169.254.");
}
