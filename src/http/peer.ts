const PEER = Symbol("peer address");

/** Stores the address of a request's peer; undefined for a Unix socket. */
export function notePeer(request: object, address: string | undefined): void {
  (request as { [PEER]?: string | undefined })[PEER] = address;
}

/** The address of a request's peer; undefined for a Unix socket. */
export function peerOf(request: object): string | undefined {
  return (request as { [PEER]?: string | undefined })[PEER];
}
