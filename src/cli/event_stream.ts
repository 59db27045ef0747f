/** One server-sent event. */
export interface ServerSentEvent {
  /** `message` where the stream names none. */
  readonly event: string;
  readonly data: string;
  /** The last id that the stream gave, with this event or before it. */
  readonly id: string | undefined;
}

/**
 * Server-sent events as they come (WHATWG HTML, section 9.2.6); comments are left out. A last event
 * without its empty line has been broken off and is dropped. `onId` is told of ids before any event
 * that comes with them, and of those that come without one.
 */
export async function* serverSentEvents(
  bytes: AsyncIterable<Uint8Array>,
  onId: (id: string) => void = () => {},
): AsyncGenerator<ServerSentEvent> {
  let event = "";
  let data: string[] = [];
  let id: string | undefined;
  for await (const line of linesOf(bytes)) {
    if (line === "") {
      if (id !== undefined) onId(id);
      if (data.length > 0) yield { event: event || "message", data: data.join("\n"), id };
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event = value;
    else if (name === "data") data.push(value);
    else if (name === "id" && !value.includes("\0")) id = value;
  }
}

/** Lines that end with LF, CR or CRLF. */
async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  // The decoder takes a byte order mark away, as the standard wants.
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of bytes) {
    text += decoder.decode(piece, { stream: true });
    // A CR at the very end may be half of a CRLF.
    const whole = text.endsWith("\r") ? text.length - 1 : text.length;
    const lines = text.slice(0, whole).split(/\r\n|\r|\n/);
    text = lines.pop()! + text.slice(whole);
    yield* lines;
  }
}
