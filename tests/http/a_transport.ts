import type { Headers, Outcome } from "../../src/domain/attempt.ts";
import type { OutgoingRequest, Transport } from "../../src/transport/transport.ts";

/** A transport with outcomes set by the test, for failures that a server on loopback can't cause. */
export function aTransport(
  outcomeOf: (request: OutgoingRequest) => Outcome | Promise<Outcome>,
): Transport {
  return {
    send: (request) => Promise.resolve(outcomeOf(request)),
    close: () => Promise.resolve(),
  };
}

/** A complete answer. */
export function answered(status: number, headers: Headers = [], body = ""): Outcome {
  return {
    kind: "answered",
    status,
    headers,
    body: new TextEncoder().encode(body),
    truncated: false,
    remoteAddress: "203.0.113.7",
  };
}
