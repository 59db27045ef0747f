const PEER = Symbol("the address at the other end");

/** Notes whose connection a request came on; undefined for a Unix socket, which has no address. */
export function notePeer(request: object, address: string | undefined): void {
  (request as { [PEER]?: string | undefined })[PEER] = address;
}

/** The address at the other end of a request's connection; undefined for a Unix socket. */
export function peerOf(request: object): string | undefined {
  return (request as { [PEER]?: string | undefined })[PEER];
}
