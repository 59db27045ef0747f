/** The runtime's names of alerts by which a server says that it wants a client certificate. */
const CLIENT_CERTIFICATE = new Set([
  "CertificateRequired",
  "NoCertificate",
  "BadCertificate",
  "UnsupportedCertificate",
  "CertificateUnknown",
  "UnknownCA",
]);

/**
 * What a TLS error means, with its cause first, where it is not about the server's certificate. Alerts
 * may come after the handshake as well: TLS 1.3 asks for a client certificate in its last message.
 */
export function tlsWords(error: Error, hostname: string): string {
  const alert = /received fatal alert: (\w+)/.exec(error.message)?.[1];
  if (alert !== undefined) return alertWords(alert, hostname);
  if (/corrupt message|InvalidContentType|InvalidMessage/.test(error.message)) {
    return `what answers at ${hostname} does not speak TLS on this port`;
  }
  if (/peer is incompatible: .*(Version|Tls1[23])/i.test(error.message)) return tooOld(hostname);
  if (isClosing(error)) return `TLS with ${hostname} failed: the receiver closed the connection`;
  return `TLS with ${hostname} failed: ${error.message}`;
}

function alertWords(alert: string, hostname: string): string {
  if (CLIENT_CERTIFICATE.has(alert)) return `${hostname} wants a client certificate (${alert})`;
  switch (alert) {
    case "ProtocolVersion":
      return tooOld(hostname);
    case "NoApplicationProtocol":
      return `${hostname} does not speak HTTP/1.1 over TLS (${alert})`;
    case "UnrecognisedName":
      return `the server knows no host ${hostname} (${alert})`;
    case "HandshakeFailure":
    case "InsufficientSecurity":
    case "AccessDenied":
      return `${hostname} refused the TLS handshake (${alert})`;
    default:
      return `TLS with ${hostname} failed: it answered with the alert ${alert}`;
  }
}

function tooOld(hostname: string): string {
  return `${hostname} speaks neither TLS 1.2 nor 1.3`;
}

function isClosing(error: Error): boolean {
  return error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.BrokenPipe;
}
