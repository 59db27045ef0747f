import { Buffer } from "node:buffer";

/** The ways in which programs escape or encode a text. */
export const SPELLINGS: Readonly<Record<string, (text: string) => string>> = {
  asItIs: (text) => text,
  json: (text) => JSON.stringify(text).slice(1, -1),
  php: (text) => JSON.stringify(text).slice(1, -1).replaceAll("/", "\\/"),
  go: (text) => JSON.stringify(text).slice(1, -1).replace(/[<>&]/g, unicode),
  dotNet: (text) =>
    JSON.stringify(text).slice(1, -1).replaceAll('\\"', "\\u0022")
      .replace(/[<>&'+`\u007f-\uffff]/g, (unit) => unicode(unit).toUpperCase().replace("U", "u")),
  allUnicode: (text) => text.replace(/[\s\S]/g, unicode),
  codePoints: (text) =>
    text.replace(/[\s\S]/gu, (one) => `\\u{${one.codePointAt(0)!.toString(16)}}`),
  html: (text) =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;").replaceAll("'", "&#39;"),
  htmlNames: (text) =>
    text.replace(/[&+/=:;.]/g, (one) =>
      ({
        "&": "&amp;",
        "+": "&plus;",
        "/": "&sol;",
        "=": "&equals;",
        ":": "&colon;",
        ";": "&semi;",
        ".": "&period;",
      })[one]!),
  htmlDecimal: (text) => text.replace(/[\s\S]/gu, (one) => `&#${one.codePointAt(0)};`),
  htmlHex: (text) => text.replace(/\W/gu, (one) => `&#x${one.codePointAt(0)!.toString(16)};`),
  percent: encodeURIComponent,
  percentSmall: (text) => encodeURIComponent(text).replace(/%../g, (one) => one.toLowerCase()),
  percentAll: (text) => `%${(Buffer.from(text).toString("hex").match(/../g) ?? []).join("%")}`,
  form: (text) => new URLSearchParams([["", text]]).toString().slice(1),
  hex: (text) => Buffer.from(text).toString("hex"),
  hexCapitals: (text) => Buffer.from(text).toString("hex").toUpperCase(),
  base64: (text) => Buffer.from(text).toString("base64"),
  base64Unpadded: (text) => Buffer.from(text).toString("base64").replace(/=+$/, ""),
  base64Url: (text) => Buffer.from(text).toString("base64url"),
  base64WithinOne: (text) => Buffer.from(`u:${text}:v`).toString("base64"),
  base64WithinTwo: (text) => Buffer.from(`us${text}`).toString("base64"),
  base64InLines: (text) =>
    Buffer.from(text).toString("base64").replace(/.{1,16}/g, "$&\r\n").trimEnd(),
  inLines: (text) => text.replace(/.{6}(?=.)/gu, "$&\n  "),
};

function unicode(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
