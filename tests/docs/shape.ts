/**
 * What is the same in every run of a command: ids, times, commits, ports and folders give way to
 * what they are, and columns to a single space.
 */
export function shapeOf(output: string): string[] {
  return output.replaceAll("\r", "").split("\n")
    .map((line) =>
      line
        .replaceAll(/\b(evt|dlv|rpl)_[0-9A-Z]{26}\b/g, "$1_ID")
        .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
        .replaceAll(/\b(now|\d+ (s|m|h|d) ago)\b/g, "AGO")
        .replaceAll(/\b\d+ ms\b/g, "MS")
        .replaceAll(/ \([0-9a-f]{7,}(-dirty)?\)/g, "")
        .replaceAll(/127\.0\.0\.1:\d+/g, "ADDRESS")
        .replaceAll(/(?<=^|[\s"])\/[^\s"]*\/(?=[^\s"/]+)/g, "FOLDER/")
        .replaceAll(/\s+/g, " ")
        .trim()
    )
    .filter((line) => line !== "");
}
