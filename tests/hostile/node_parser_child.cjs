// Reads batches of responses, a JSON list of [Latin-1 text, end] a line, and answers with what
// Node's HTTP parser makes of each. `end` is where the response is said to end: the parser gets all
// before it but for a byte, that byte, and the rest only if it is not content by then.
const { HTTPParser } = require("_http_common");
const readline = require("node:readline");

function read([text, end]) {
  const bytes = Buffer.from(text, "latin1");
  const parser = new HTTPParser();
  let message;
  parser.initialize(HTTPParser.RESPONSE, {}, 32 * 1024, 0);
  const isFinal = () => message !== undefined && (message.status >= 200 || message.status === 101);
  // Headers come in portions where there are many, and trailers after the body.
  parser[HTTPParser.kOnHeaders] = (headers) => {
    if (!message.complete) message.headers.push(...headers);
  };
  parser[HTTPParser.kOnHeadersComplete] = (_major, _minor, headers, _method, _url, status) => {
    // What follows the final answer is not looked at.
    if (message?.complete && isFinal()) return 0;
    message = { status, headers: headers ?? [], body: "", complete: false };
    return 0;
  };
  parser[HTTPParser.kOnBody] = (chunk) => {
    if (!message.complete) message.body += chunk.toString("latin1");
  };
  parser[HTTPParser.kOnMessageComplete] = () => message.complete = true;
  const cuts = [0, Math.max(0, end - 1), end, bytes.length];
  try {
    for (let i = 1; i < cuts.length; i++) {
      const piece = bytes.subarray(cuts[i - 1], cuts[i]);
      if (piece.length === 0) continue;
      const result = parser.execute(piece);
      if (message?.complete && isFinal()) return { kind: "whole", end: cuts[i], ...message };
      if (result instanceof Error) return { kind: "refused", why: result.reason ?? result.code };
    }
    if (parser.finish() instanceof Error || !message?.complete || !isFinal()) {
      return { kind: "cut" };
    }
    return { kind: "whole", end: bytes.length, ...message };
  } finally {
    parser.close();
  }
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(JSON.stringify(JSON.parse(line).map(read)) + "\n");
});
