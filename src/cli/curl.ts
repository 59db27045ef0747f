import type { Attempt } from "./answers.ts";
import { shellWord } from "./shell_word.ts";

/** A shell command that sends a request again, as far as its record goes: secrets are not in it. */
export function curlOf({ url, headers, body }: Attempt["request"]): string {
  const lines = [
    `curl --request POST --globoff ${shellWord(url)}`,
    ...Object.entries(headers).map(([name, value]) =>
      // Without the semicolon curl would leave an empty header out.
      `--header ${shellWord(value === "" ? `${name};` : `${name}: ${value}`)}`
    ),
    `--data-raw ${shellWord(body)}`,
  ];
  return lines.join(" \\\n  ");
}
