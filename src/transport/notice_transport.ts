import type { FailureKind, Outcome } from "../domain/attempt.ts";
import type { Channel } from "../domain/notice.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Environment } from "../runtime/environment.ts";
import type { OutgoingRequest, Transport } from "./transport.ts";

export interface NoticeTransportPorts {
  /** For everything that is no mail and no command. */
  readonly http: Transport;
  readonly clock: Clock;
  readonly environment: Environment;
  /** The channel behind a pool key; undefined for receivers. */
  readonly channel: (pool: string) => Channel | undefined;
  /** Certificates to trust beside the system's. */
  readonly ca?: readonly string[];
}

/** How notices go out by one kind of channel; a value, whatever goes wrong there. */
export type SendNotice<Kind extends Channel["kind"]> = (
  channel: Channel & { readonly kind: Kind },
  request: OutgoingRequest,
  ports: NoticeTransportPorts,
  closing: AbortSignal,
) => Promise<Outcome>;

/** What takes megabytes, a mail client or child processes, is loaded when it is first used. */
const SENDERS: { readonly [Kind in Channel["kind"]]: SendNotice<Kind> } = {
  webhook: (_, request, { http }) => http.send(request),
  email: async (...notice) => (await import("./mail.ts")).sendMail(...notice),
  command: async (...notice) => (await import("./command.ts")).runCommand(...notice),
  slack: async (...notice) => (await import("./slack.ts")).sendToSlack(...notice),
};

/** Sends notices by other ways than HTTP as well, so that one send path serves them all. */
export function noticeTransport(ports: NoticeTransportPorts): Transport {
  const closing = new AbortController();
  return {
    send(request: OutgoingRequest): Promise<Outcome> {
      const channel = ports.channel(request.pool);
      if (channel === undefined) return ports.http.send(request);
      return sendNotice(channel, request, ports, closing.signal);
    },
    close() {
      closing.abort();
      return ports.http.close();
    },
  };
}

function sendNotice<Kind extends Channel["kind"]>(
  channel: Channel & { readonly kind: Kind },
  request: OutgoingRequest,
  ports: NoticeTransportPorts,
  closing: AbortSignal,
): Promise<Outcome> {
  return SENDERS[channel.kind as Kind](channel, request, ports, closing);
}

/** What a mail server or a command took, told as an answer. */
export function taken(text: string): Outcome {
  const body = new TextEncoder().encode(text);
  return { kind: "answered", status: 200, headers: [], body, truncated: false };
}

export function failed(kind: FailureKind, message: string): Outcome {
  return { kind: "failed", error: { kind, message } };
}
