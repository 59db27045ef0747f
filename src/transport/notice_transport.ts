import type { NoticeChannel } from "../domain/notice.ts";
import type { FailureKind, Outcome } from "../domain/attempt.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Environment } from "../runtime/environment.ts";
import type { OutgoingRequest, Transport } from "./transport.ts";

export interface NoticeTransportPorts {
  /** For everything that is no mail and no command. */
  readonly http: Transport;
  readonly clock: Clock;
  readonly environment: Environment;
  /** The channel behind a pool key; undefined for receivers. */
  readonly channel: (pool: string) => NoticeChannel | undefined;
  /** Certificates to trust beside the system's. */
  readonly ca?: readonly string[];
}

/** Sends notices by mail and command as well, so that one send path serves them all. */
export function noticeTransport(ports: NoticeTransportPorts): Transport {
  const closing = new AbortController();
  return {
    send(request: OutgoingRequest): Promise<Outcome> {
      const channel = ports.channel(request.pool);
      if (channel === undefined || channel.kind === "webhook") return ports.http.send(request);
      if (channel.kind === "command") return run(channel, request, ports, closing.signal);
      return mail(channel, request, ports, closing.signal);
    },
    close() {
      closing.abort();
      return ports.http.close();
    },
  };
}

/** Loaded when a command is first run: Node's child processes take seven megabytes. */
async function run(
  channel: NoticeChannel & { kind: "command" },
  request: OutgoingRequest,
  ports: NoticeTransportPorts,
  closing: AbortSignal,
): Promise<Outcome> {
  const { runCommand } = await import("./command.ts");
  return await runCommand(channel, request, ports, closing);
}

/** Where nobody is ever mailed, the mail client is never loaded: it takes some megabytes. */
async function mail(
  channel: NoticeChannel & { kind: "email" },
  request: OutgoingRequest,
  ports: NoticeTransportPorts,
  closing: AbortSignal,
): Promise<Outcome> {
  const { sendMail } = await import("./mail.ts");
  return await sendMail(channel, request, ports, closing);
}

/** What a mail server or a command took, told as an answer. */
export function taken(text: string): Outcome {
  const body = new TextEncoder().encode(text);
  return { kind: "answered", status: 200, headers: [], body, truncated: false };
}

export function failed(kind: FailureKind, message: string): Outcome {
  return { kind: "failed", error: { kind, message } };
}
