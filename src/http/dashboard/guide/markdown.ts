import { EXAMPLE_MADE, type Guide } from "./guide.ts";

/** A guide as Markdown, to be sent along. */
export function guideMarkdown(guide: Guide): string {
  const { verification } = guide;
  const blocks = [
    `# Webhooks for ${escaped(guide.subscription)}`,
    `Events are sent by HTTP POST to ${code(guide.url)}, in the format of ${
      escaped(guide.format)
    }.`,
    "## Headers",
    table(guide),
    "## Events",
    ...(guide.events.length === 0 ? ["Which events there are is agreed upon with you."] : []),
    ...guide.events.flatMap(({ name, description, body }) => [
      `### ${escaped(name)}`,
      ...(description === undefined ? [] : [escaped(description)]),
      ...(body === undefined ? [] : [fenced("json", body)]),
    ]),
    "## How to verify a request",
    ...verification.sentences.map(escaped),
    ...verification.samples.flatMap(({ language, fence, code }) => [
      `### ${language}`,
      fenced(fence, code.trimEnd()),
    ]),
    ...(verification.example
      ? [
        "### A request to try it on",
        `Made at ${EXAMPLE_MADE}, with the secret \`${verification.example.secret}\`, ` +
        "which is good for nothing else.",
        fenced(
          "http",
          verification.example.headers.map(([name, value]) => `${name}: ${value}`).join("\n") +
            `\n\n${verification.example.body}`,
        ),
      ]
      : []),
    "## What to answer",
    list(guide.answering),
    "## What happens if you don't",
    list(guide.failing),
    "## What comes twice",
    list(guide.repeating),
  ];
  return blocks.join("\n\n") + "\n";
}

function table({ headers }: Guide): string {
  const rows = headers.map(({ name, value, meaning }) =>
    `| ${code(name)} | ${code(value).replaceAll("|", "\\|")} | ${escaped(meaning)} |`
  );
  return ["| header | for example | what it is |", "| --- | --- | --- |", ...rows].join("\n");
}

function list(sentences: readonly string[]): string {
  return sentences.map((sentence) => `- ${escaped(sentence)}`).join("\n");
}

/** A code block whose text cannot end it. */
function fenced(language: string, text: string): string {
  const fence = "`".repeat(Math.max(3, longestRun(text) + 1));
  return `${fence}${language}\n${text}\n${fence}`;
}

/** A piece of code within a line, which cannot end itself either. */
function code(text: string): string {
  const run = longestRun(text), tick = "`".repeat(run + 1);
  return run === 0 ? `${tick}${text}${tick}` : `${tick} ${text} ${tick}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}

/** What would be read as Markdown, or as HTML, spelled out. */
function escaped(text: string): string {
  return text.replace(/[\\`*_[\]<>|#]/g, "\\$&").replaceAll("\n", " ");
}
