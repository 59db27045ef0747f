// @ts-types="@types/nodemailer"
import { createTransport } from "nodemailer";
import { Socket } from "node:net";
import type { Channel } from "../domain/notice.ts";
import type { FailureKind, Outcome } from "../domain/attempt.ts";
import { Redactor } from "../domain/redaction.ts";
import type { Clock } from "../runtime/clock.ts";
import { hasFreeDescriptors } from "../runtime/descriptors.ts";
import { hostKind, isForbidden } from "./address_guard.ts";
import { noDescriptors } from "./machine_fault.ts";
import { noticeText } from "./notice_text.ts";
import { failed, taken } from "./notice_transport.ts";
import type { OutgoingRequest } from "./transport.ts";

/**
 * Mails a notice. `smtps:` speaks TLS from the start; `smtp:` changes to it by STARTTLS where the
 * server offers it, and insists on it before a password leaves this machine.
 */
export async function sendMail(
  channel: Channel & { kind: "email" },
  { body, deadlineMs }: OutgoingRequest,
  { clock, ca }: { clock: Clock; ca?: readonly string[] },
  closing: AbortSignal,
): Promise<Outcome> {
  const server = new URL(channel.smtp);
  const host = server.hostname.replace(/^\[|\]$/g, "");
  const secure = server.protocol === "smtps:";
  const user = decodeURIComponent(server.username);
  const password = channel.password?.reveal();
  // Our own: the mail client keeps one for as long as a server says anything at all.
  const socket = new Socket();
  // No name server decides where the names below localhost are: a password may go there in the clear.
  const isLocalName = hostKind(host).kind === "loopbackName";
  const transporter = createTransport({
    host: isLocalName ? "127.0.0.1" : host,
    port: Number(server.port) || (secure ? 465 : 587),
    secure,
    requireTLS: !secure && user !== "" && !isThisMachine(host),
    socket,
    connectionTimeout: deadlineMs,
    greetingTimeout: deadlineMs,
    socketTimeout: deadlineMs,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(user ? { auth: { user, pass: password ?? "" } } : {}),
    tls: { ...(isLocalName && { servername: host }), ...(ca && { ca: [...ca] }) },
  });
  // What a server says goes on record, and some repeat what they were sent.
  const redactor = new Redactor(password === undefined ? [] : [password, `\0${user}\0${password}`]);
  const shown = (text: string) => redactor.text(text);
  const late = Promise.withResolvers<Outcome>();
  const cancelTimer = clock.after(
    deadlineMs,
    () => late.resolve(failed("timeout", `${host} did not take the mail in ${deadlineMs} ms`)),
  );
  const onClosing = () => late.resolve(failed("timeout", "the daemon stopped meanwhile"));
  closing.addEventListener("abort", onClosing, { once: true });
  if (closing.aborted) onClosing();
  const sending = transporter.sendMail({
    from: channel.from,
    to: [...channel.to],
    ...mailText(new TextDecoder().decode(body)),
  }).then(
    (info: { response: string }) => taken(shown(info.response)),
    (error: SmtpError) => {
      // Whatever it says then: it is no fault of the server's.
      if (!hasFreeDescriptors()) throw noDescriptors(`mail to ${host}`);
      return failed(kindOf(error), `${host}: ${shown(error.message)}`);
    },
  );
  try {
    return await Promise.race([sending, late.promise]);
  } finally {
    cancelTimer();
    closing.removeEventListener("abort", onClosing);
    transporter.close();
    socket.destroy();
  }
}

interface SmtpError extends Error {
  readonly code?: string;
}

function kindOf({ code = "" }: SmtpError): FailureKind {
  if (code === "EDNS") return "dns";
  if (code === "ETLS") return "tls";
  if (code === "ETIMEDOUT") return "timeout";
  return code === "ESOCKET" || code === "ECONNECTION" ? "connect" : "protocol";
}

function isThisMachine(host: string): boolean {
  const kind = hostKind(host);
  if (kind.kind === "loopbackName") return true;
  return kind.kind === "address" && !isForbidden(kind.address, ["127.0.0.0/8", "::1/128"]) &&
    isForbidden(kind.address, []);
}

/** Subject and text for people, made of the notice's JSON. */
function mailText(json: string): { subject: string; text: string } {
  const { headline, lines, command } = noticeText(json);
  const text = [
    headline,
    "",
    ...lines,
    "",
    ...(command === undefined ? [] : [`try: ${command}`, ""]),
  ];
  return { subject: `[bellhook] ${headline}`, text: text.join("\n") };
}
