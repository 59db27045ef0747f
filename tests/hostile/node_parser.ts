/** What Node's HTTP parser made of some bytes; `cut`: it waits for more. */
export type NodeReading =
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "cut" }
  | {
    readonly kind: "whole";
    /** How many bytes belong to the response, where that is the number that was asked about. */
    readonly end: number;
    readonly status: number;
    /** Names and values in turn, those of trailers too; Latin-1. */
    readonly headers: readonly string[];
    readonly body: string;
  };

/** Whether a Node with that parser is on this machine. */
export async function hasNode(): Promise<boolean> {
  try {
    const args = ["-p", "process.versions.llhttp"];
    const { stdout } = await new Deno.Command("node", { args }).output();
    return /^9\./.test(new TextDecoder().decode(stdout));
  } catch {
    return false;
  }
}

/** Node's own parser of responses, in a process of its own. */
export class NodeParser {
  readonly #process = new Deno.Command("node", {
    args: ["--no-deprecation", new URL("node_parser_child.cjs", import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  readonly #writer = this.#process.stdin.getWriter();
  readonly #reader = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();

  /** What becomes of these bytes, of which `end` are thought to be the response. */
  async read(
    questions: readonly { readonly bytes: Uint8Array; readonly end: number }[],
  ): Promise<readonly NodeReading[]> {
    const pairs = questions.map(({ bytes, end }) => [String.fromCharCode(...bytes), end]);
    const written = this.#writer.write(new TextEncoder().encode(JSON.stringify(pairs) + "\n"));
    const said: string[] = [];
    while (!said.at(-1)?.endsWith("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("node ended");
      said.push(value);
    }
    await written;
    return JSON.parse(said.join(""));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    while (!(await this.#reader.read()).done);
    await this.#process.status;
  }
}
