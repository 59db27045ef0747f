/** The address of whoever is connected; undefined where a Unix socket brings a request. */
export function peerOf({ remoteAddr }: Deno.ServeHandlerInfo): string | undefined {
  return remoteAddr.transport === "tcp" ? remoteAddr.hostname : undefined;
}
