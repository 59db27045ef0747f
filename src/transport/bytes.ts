/** What HTTP/1.1 is spelled with. */
export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const QUOTE = 0x22;
export const ZERO = 0x30;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const BACKSLASH = 0x5c;

/** RFC 9110, section 5.6.2. */
export const IN_TOKEN = table(/[!#$%&'*+.^_`|~0-9A-Za-z-]/);
/** What may stand in a field's value, a reason or a quoted text: no control character but a tab. */
export const IN_VALUE = table(/[\t\x20-\x7e\x80-\xff]/);
/** The value of a hexadecimal digit; 255 for what is none. */
export const HEX = Uint8Array.from(
  table(/[0-9A-Fa-f]/),
  (isDigit, byte) => isDigit === 1 ? parseInt(String.fromCharCode(byte), 16) : 255,
);

/** 1 for each byte that is such a character, 0 for the others. */
function table(characters: RegExp): Uint8Array {
  return Uint8Array.from(
    { length: 256 },
    (_, byte) => Number(characters.test(String.fromCharCode(byte))),
  );
}
