import { SMTPServer, type SMTPServerOptions } from "smtp-server";

/** A mail that a real SMTP server received. */
export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  /** Head and body as received. */
  readonly text: string;
  /** Whether the connection was encrypted. */
  readonly secure: boolean;
  readonly user: string | undefined;
}

export interface MailServer {
  readonly port: number;
  readonly mails: readonly ReceivedMail[];
  /** Refuses every mail while set. */
  refuses: boolean;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A real SMTP server on loopback. With a password, `ops` must sign in. */
export async function startMailServer(
  { password, ...options }: SMTPServerOptions & { password?: string } = {},
): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  const state = { refuses: false };
  const server = new SMTPServer({
    authOptional: password === undefined,
    disabledCommands: options.key ? [] : ["STARTTLS"],
    logger: false,
    closeTimeout: 100,
    onAuth(auth, _session, callback) {
      const ok = auth.username === "ops" && auth.password === password;
      callback(ok ? null : new Error("wrong user or password"), ok ? { user: "ops" } : undefined);
    },
    onData(stream, session, callback) {
      const chunks: Uint8Array[] = [];
      stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      stream.on("end", () => {
        if (state.refuses) return callback(new Error("mailbox full"));
        mails.push({
          from: session.envelope.mailFrom ? session.envelope.mailFrom.address : "",
          to: session.envelope.rcptTo.map(({ address }) => address),
          text: chunks.map((chunk) => new TextDecoder().decode(chunk)).join(""),
          secure: session.secure,
          user: session.user as string | undefined,
        });
        callback();
      });
    },
    ...options,
  });
  server.on("error", () => {});
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", () => listening.resolve());
  await listening.promise;
  const { port } = server.server.address() as { port: number };
  return {
    port,
    mails,
    get refuses() {
      return state.refuses;
    },
    set refuses(refuses) {
      state.refuses = refuses;
    },
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
