import type { Headers } from "./attempt.ts";

/** A shell command that sends a request again, as far as its record goes: secrets are not in it. */
export function curlOf(
  { url, headers, body }: { url: string; headers: Headers; body: string },
): string {
  const lines = [
    `curl --request POST --globoff ${shellWord(url)}`,
    ...headers.map(([name, value]) =>
      // Without the semicolon curl would leave an empty header out.
      `--header ${shellWord(value === "" ? `${name};` : `${name}: ${value}`)}`
    ),
    `--data-raw ${shellWord(body)}`,
  ];
  return lines.join(" \\\n  ");
}

/** A shell script that sends a request again, and fails unless it is answered 2xx. */
export function receiverTestOf(
  request: { url: string; headers: Headers; body: string },
): string {
  return [
    "#!/bin/sh",
    `status=$(${
      curlOf(request).replace(
        "curl ",
        "curl --silent --output /dev/null --write-out '%{http_code}' ",
      )
    })`,
    'case "$status" in',
    '  2??) echo "ok: answered $status" ;;',
    '  *) echo "failed: answered $status, expected 2xx" >&2; exit 1 ;;',
    "esac",
  ].join("\n");
}

/** A command of Bellhook's about one thing, to be pasted into a shell: an id may hold anything. */
export function commandAbout(command: string, id: string): string {
  return `bellhook ${command} ${id.startsWith("-") ? "-- " : ""}${shellWord(id)}`;
}

/** A text as one word of a POSIX shell's command line. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
