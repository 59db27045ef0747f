import type { Command } from "commander";
import type { Headers } from "../domain/attempt.ts";
import { expectedSignatures, explain, type Explanation } from "../profiles/explain.ts";
import type { Explainable } from "../profiles/mistakes/scheme.ts";
import { systemClock } from "../runtime/clock.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import type { GlobalOptions, Shell } from "./shell.ts";
import { addSignerOptions, bytesAt, secretIn, signerOf, type SignerOptions } from "./signer.ts";
import type { Terminal } from "./terminal.ts";

interface VerifyOptions extends SignerOptions {
  readonly previousSecretEnv?: string;
  readonly headers?: string;
  readonly body?: string;
  readonly request?: string;
  readonly showExpected?: boolean;
}

/** `bellhook verify`: whether a captured request's signature is right, and if not, why. */
export function addVerify(program: Command, shell: Shell): void {
  const command = program.command("verify")
    .description("say whether a request's signature is right, and if not, why")
    .option("--headers <file>", "a file with the request's headers, as `Name: value` lines, or -")
    .option("--body <file>", "a file with the request's body, byte for byte, or -")
    .option("--request <file>", "both in one: head, empty line, body; or -")
    .option("--previous-secret-env <name>", "the variable that holds the secret before this one")
    .option("--show-expected", "print the signatures that would be right");
  addSignerOptions(command, { at: "when it was received, as RFC 3339 (default: now)" })
    .addHelpText("after", EXAMPLES)
    .action(shell.does<VerifyOptions>(async (options) => {
      const request = await explainableOf(options, shell.terminal);
      const explanation = explain(request);
      print(explanation, { request, shell, options });
      return explanation.ok ? EXIT.done : EXIT.failed;
    }));
}

async function explainableOf(
  options: VerifyOptions & GlobalOptions,
  terminal: Terminal,
): Promise<Explainable> {
  const { profile, secret, previousSecret } = await signerOf(options, terminal);
  if (secret === undefined) {
    throw new CommandError(
      EXIT.notValid,
      options.subscription === undefined
        ? "name the variable with the secret by --secret-env, or a subscription by --subscription"
        : `subscription "${options.subscription}" has no secret: its requests are not signed`,
    );
  }
  const { previousSecretEnv } = options;
  const previous = previousSecretEnv === undefined
    ? previousSecret?.secret
    : secretIn(previousSecretEnv, terminal.environment);
  return {
    profile,
    secret,
    ...(previous && { previousSecret: previous }),
    ...await receivedIn(options, terminal),
    at: options.at ?? systemClock.wall(),
  };
}

type Received = Pick<Explainable, "headers" | "rawBody">;

async function receivedIn(options: VerifyOptions, terminal: Terminal): Promise<Received> {
  const { headers, body, request } = options;
  if (request !== undefined && headers === undefined && body === undefined) {
    return requestIn(await bytesAt(request, terminal), request);
  }
  if (request !== undefined || headers === undefined || body === undefined) {
    throw new CommandError(
      EXIT.notValid,
      "give the request by --headers and --body, or in one file by --request",
    );
  }
  if (headers === "-" && body === "-") {
    throw new CommandError(
      EXIT.notValid,
      "headers and body can't both come from standard input; --request - takes both in one",
    );
  }
  const head = new TextDecoder().decode(await bytesAt(headers, terminal));
  return { headers: headersIn(head, headers), rawBody: await bytesAt(body, terminal) };
}

const NEWLINE = 0x0a, RETURN = 0x0d;

/** A raw HTTP request: the body is all that stands after the first empty line. */
function requestIn(bytes: Uint8Array, path: string): Received {
  let at = 0;
  while (at < bytes.length) {
    const newline = bytes.indexOf(NEWLINE, at);
    if (newline < 0) break;
    const isEmpty = newline === at || (newline === at + 1 && bytes[at] === RETURN);
    if (isEmpty) {
      const head = new TextDecoder().decode(bytes.subarray(0, at));
      return { headers: headersIn(head, path), rawBody: bytes.subarray(newline + 1) };
    }
    at = newline + 1;
  }
  throw new CommandError(
    EXIT.notValid,
    `"${path}" has no empty line, expected one between the request's head and its body`,
  );
}

/** Lines of `Name: value`; a request line before them is passed over. */
function headersIn(head: string, path: string): Headers {
  const lines = head.split(/\r?\n/);
  if (/^[A-Z]+ \S+ HTTP\/\d/.test(lines[0]!)) lines[0] = "";
  return lines.flatMap((line, index): [string, string][] => {
    if (line.trim() === "") return [];
    const [, name, value] = /^([^\s:]+)\s*:(.*)$/.exec(line) ?? [];
    if (name === undefined) {
      throw new CommandError(
        EXIT.notValid,
        `line ${index + 1} of "${path}" is no header, expected "Name: value"`,
      );
    }
    return [[name, value!.trim()]];
  });
}

function print(
  explanation: Explanation,
  { request, shell, options }: {
    request: Explainable;
    shell: Shell;
    options: VerifyOptions & GlobalOptions;
  },
): void {
  const expected = options.showExpected ? expectedSignatures(request) : [];
  if (options.json) {
    const shown = options.showExpected ? { expected: Object.fromEntries(expected) } : {};
    return shell.print(JSON.stringify({ ...explanation, ...shown }));
  }
  if (explanation.ok) shell.print(`signature good: ${explanation.verified.join(", ")}`);
  else shell.print(`signature not good: ${explanation.reason}`);
  for (const [name, value] of expected) shell.print(`expected ${name}: ${value}`);
  if (explanation.ok) return;
  if (explanation.mistake === undefined) shell.say(`tried: ${explanation.checked.join(", ")}`);
  if (explanation.mistake === "stale" && options.at === undefined) {
    shell.say("judged by the clock of now; for a captured request give --at, when it was received");
  }
}

const EXAMPLES = `
Examples:
  $ bellhook verify --profile roostsync --secret-env S --headers head.txt --body body.json
  $ bellhook verify --secret-env S --request captured.http --at 2024-03-15T10:40:00Z
  $ bellhook verify --subscription guests -c config.json --request - --json < captured.http
`;
