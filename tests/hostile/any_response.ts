/**
 * Responses as receivers, broken servers and attackers make them: most parts sound, some not. From
 * a plain generator of numbers, since a fuzz run needs hundreds of thousands.
 */
export function anyResponse(seed: number): Uint8Array<ArrayBuffer> {
  const random = mulberry32(seed);
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  /** One of the usual things, or seldom one of the others. */
  const mostly = (usual: readonly string[], others: readonly string[], seldom = 0.06) =>
    one(random() < seldom ? others : usual);
  const times = (most: number) => Math.floor(random() * (most + 1));
  const end = () => mostly(["\r\n"], ["\n", "\r", "", "\r\r\n", "\n\r\n", " \r\n", "\0\r\n"], 0.02);
  const repeat = (most: number, part: () => string) => Array.from({ length: times(most) }, part);

  const field = () => {
    const name = mostly(NAMES, ODD_NAMES);
    const value = /^content-length$/i.test(name)
      ? mostly(["0", "1", "2", "5", "05"], ODD_LENGTHS, 0.15)
      : /^transfer-encoding$/i.test(name)
      ? mostly(["chunked", "Chunked", "gzip, chunked"], ODD_CODINGS, 0.25)
      : mostly(VALUES, ODD_VALUES);
    return name + mostly([": ", ":"], [" : ", ":\t", ":  ", "", "::", ":\r\n "], 0.04) + value +
      mostly([""], [" ", "\t", " \t "], 0.05) + end();
  };
  const head = (status: string) =>
    mostly(["HTTP/1.1"], ODD_PROTOCOLS, 0.06) + mostly([" "], ["  ", "", "\t"], 0.02) + status +
    mostly([" OK", " ", ""], [" a\0b", " \xe9", "OK", "\tOK", " a\tb", " a\x7fb"], 0.06) + end() +
    repeat(3, field).join("") + end();
  const chunk = () => {
    const data = "abcdefghij".slice(0, times(10));
    const size = mostly([data.length.toString(16)], ODD_SIZES, 0.05);
    return size + mostly([""], EXTENSIONS, 0.15) + end() + data + end();
  };
  const body = () => {
    switch (times(3)) {
      case 0:
        return "abcdefghij".slice(0, times(10));
      case 1:
        return repeat(2, chunk).join("") + "0" + end() + repeat(1, field).join("") + end();
      case 2:
        return repeat(3, chunk).join("");
      default:
        return "";
    }
  };
  const blank = random() < 0.03 ? repeat(3, end).join("") : "";
  const interim = random() < 0.15 ? repeat(2, () => head(one(INTERIM))).join("") : "";
  let text = blank + interim + head(mostly(["200", "204", "304", "404"], ODD_STATUSES)) + body();
  if (random() < 0.1) text += head("200") + body();
  if (random() < 0.3) text = spoilt(text, random);
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

const NAMES = ["Content-Length", "content-length", "Transfer-Encoding", "Transfer-Encoding"]
  .concat(["X", "Connection", "Date", "Keep-Alive", "x-y_z", "Upgrade"]);
const ODD_NAMES = ["", " X", "X\0", "X Y", "\xe9", "(X)", "Content-Length ", "X\r", "@", "\tX"]
  .concat(["Content_Length", "Transfer-Encodings", "Proxy-Connection", "Trailer", "!#$%&'*+.^`|~"]);
const VALUES = ["a", "", "close", "keep-alive", "timeout=5", "a b", "websocket", "a, b"];
const ODD_VALUES = ["a\0", "\x7f", "\xff\x80", "a\x01b", "\x0b", "a\r\n b", "a\nb", "\xa0a\xa0"]
  .concat(["keep-alive, close", "upgrade", "Close", "a\tb"]);
const ODD_LENGTHS = ["", "-1", "+1", "0x1", "1, 1", "1 1", "1a", "18446744073709551615", "\xa01"]
  .concat(["18446744073709551616", "99999999999999999999", "000000000000000000000001", "1.0", "٣"])
  .map((text) => text.replace(/[^\0-\xff]/g, "\xb2"));
const ODD_CODINGS = ["", "gzip", "chunked, gzip", "chunked,", ",chunked", "chunked\t", "xchunked"]
  .concat([
    "chunked;q=1",
    "chunked chunked",
    "chunked,chunked",
    "identity",
    "\xa0chunked",
    '"chunked"',
  ])
  .concat(["gzip\t,chunked", "gzip,\tchunked", "gzip chunked", "chunked\x0b", "chunKED "]);
const ODD_PROTOCOLS = [
  "HTTP/1.0",
  "HTTP/1.0",
  "HTTP/1.0",
  "HTTP/1.2",
  "HTTP/2.0",
  "HTTP/0.9",
  "ICY",
]
  .concat(["http/1.1", "HTTP/1.", "HTTP/11", "RTSP/1.0", "ICE/1.0", "HTTP/1.10", " HTTP/1.1"]);
const INTERIM = ["100", "103", "102", "199", "101"];
const ODD_STATUSES = [
  "000",
  "099",
  "999",
  "600",
  "20",
  "2000",
  "-20",
  "2 0",
  "",
  "101",
  "205",
  "٣00",
]
  .map((text) => text.replace(/[^\0-\xff]/g, "\xb2"));
const ODD_SIZES = ["", "-1", "+1", "0x1", " 1", "1 ", "1\t", "g", "ffffffffffffffff", "00000001"]
  .concat(["fffffffffffffffff", "10000000000000001", "00", "A", "a"]);
const EXTENSIONS = [
  ";a",
  ";a=b",
  ';a="b c"',
  ";",
  ";a=",
  ";;",
  "; a",
  ";a =b",
  ';a="b\\"c"',
  ';a="',
]
  .concat([';a="b"c', ';a="\x01"', ";a=b;c=d", ";a\0", ";=b", ';a=b"c"', ";a;b", ';a="\\\x01"']);
const PIECES = [
  "\r\n",
  "\n",
  "\r",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "0",
  "\r\n\r\n",
  "\xff",
  "HTTP/1.1 ",
];

/** With some pieces cut out, put twice, or overwritten. */
function spoilt(text: string, random: () => number): string {
  for (let left = 1 + Math.floor(random() * 3); left > 0; left--) {
    const at = Math.floor(random() * text.length);
    const cut = text.slice(at, at + Math.floor(random() * 6));
    const piece = random() < 0.3
      ? cut + cut
      : random() < 0.8
      ? PIECES[Math.floor(random() * PIECES.length)]!
      : String.fromCharCode(Math.floor(random() * 256));
    text = text.slice(0, at) + piece + text.slice(at + cut.length);
  }
  return text;
}

/** Numbers spread evenly in [0, 1). */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
