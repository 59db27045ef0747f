/** What to do about a failure of TLS, by the words that the transport has for its cause. */
const FIXES: readonly (readonly [cause: RegExp, fix: string])[] = [
  [
    /^certificate expired on /,
    "the receiver has to renew its certificate, and see why it was not renewed in time; if that day " +
    "is yet to come, this machine's clock is wrong",
  ],
  [
    /^certificate is not valid before /,
    "the receiver has to use a certificate that is valid already; if that day is over, this " +
    "machine's clock is wrong",
  ],
  [
    /only as its common name/,
    "the receiver has to renew its certificate with the host as a subject alternative name; common " +
    "names no longer count anywhere",
  ],
  [
    /names no host/,
    "the receiver has to renew its certificate with the host as a subject alternative name",
  ],
  [
    /^certificate is for .*, not /,
    "check the host in the subscription's url; if it is right, the receiver's server has to use a " +
    "certificate for that host",
  ],
  [
    /is an authority's own/,
    "the receiver has to use a server certificate, without CA:TRUE, that this authority signed " +
    "(openssl makes one for a server with -addext basicConstraints=critical,CA:FALSE); then " +
    "trust the authority here: set DENO_CERT to its PEM file and restart Bellhook",
  ],
  [
    /is self-signed/,
    "if it is meant, set DENO_CERT to its PEM file, or add it to this machine's certificates and set " +
    "DENO_TLS_CA_STORE=system,mozilla, and restart Bellhook; otherwise the receiver needs one from " +
    "a public authority",
  ],
  [
    /which is not trusted here/,
    "if that is a public authority, the receiver's server has to send the full chain " +
    "(fullchain.pem, not cert.pem); if a private one, or a proxy on the way that inspects TLS, " +
    "trust it here: set DENO_TLS_CA_STORE=system,mozilla to use this machine's certificates too, or " +
    "DENO_CERT to a PEM file, and restart Bellhook",
  ],
  [
    /is for clients, not for servers/,
    "the receiver has to renew it with the extended key usage serverAuth",
  ],
  [
    /key is too weak|no longer accepted|broken signature/,
    "the receiver has to renew its certificate, and with it the chain, with SHA-256 and a key of " +
    "RSA 2048 bits or ECDSA P-256 at least",
  ],
  [
    /was revoked/,
    "the receiver has to get a new certificate and use that",
  ],
  [
    /wants a client certificate/,
    "Bellhook sends none: the receiver has to take requests without one, and check their signature " +
    "instead",
  ],
  [
    /speaks neither TLS 1\.2 nor 1\.3/,
    "the receiver's server, or the proxy before it, has to be updated, or TLS 1.2 be turned on in it",
  ],
  [
    /does not speak HTTP\/1\.1 over TLS/,
    "the receiver's server has to offer HTTP/1.1 beside HTTP/2 on this port; check that the url's " +
    "port is one for HTTPS",
  ],
  [
    /knows no host/,
    "check the host in the subscription's url; if it is right, the receiver's server has to be set " +
    "up for that name (SNI)",
  ],
  [
    /refused the TLS handshake/,
    "its log says why; as a rule it wants a client certificate, which Bellhook does not send, or " +
    "takes only old ciphers: it has to allow ECDHE with AES-GCM or ChaCha20-Poly1305",
  ],
  [
    /does not speak TLS/,
    "check the url's port: HTTPS is elsewhere, or this receiver takes plain HTTP, which needs " +
    "http:// and allowHttp",
  ],
  [
    /closed the connection/,
    "its server may not speak TLS on this port, or a firewall or proxy on the way breaks TLS off; " +
    "check the url's port, and the receiver's log",
  ],
];

/** What to do about a failure of TLS that is described so. */
export function tlsFix(message: string): string {
  return FIXES.find(([cause]) => cause.test(message))?.[1] ??
    "the receiver has to fix its certificate or TLS settings";
}
