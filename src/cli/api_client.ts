import type { Clock } from "../runtime/clock.ts";
import { systemClock } from "../runtime/clock.ts";
import { VERSION } from "../version.ts";
import { daemonUrl } from "./config_file.ts";
import { CommandError, EXIT, type ExitCode } from "./exit_code.ts";
import type { GlobalOptions } from "./shell.ts";
import type { Terminal } from "./terminal.ts";

/** The HTTP API as the commands see it: an answer, or a CommandError with its exit code. */
export class ApiClient {
  readonly #url: string;
  readonly #base: string;
  readonly #token: string | undefined;
  readonly #clock: Clock;
  readonly #http: Deno.HttpClient | undefined;

  constructor(
    { url, token, clock = systemClock }: { url: string; token?: string; clock?: Clock },
  ) {
    this.#url = url;
    this.#token = token;
    this.#clock = clock;
    if (url.startsWith("unix:")) {
      const path = url.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
      this.#http = Deno.createHttpClient({ proxy: { transport: "unix", path } });
      this.#base = "http://localhost";
    } else if (/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
      this.#base = url.replace(/\/+$/, "");
    } else {
      throw new CommandError(
        EXIT.notValid,
        `"${url}" is no URL of a daemon; write it as http://127.0.0.1:8420 or unix:/path`,
      );
    }
  }

  /** The daemon that a command's options, the environment or the config file names. */
  static async for(options: GlobalOptions, { environment }: Terminal): Promise<ApiClient> {
    const token = environment.get("BELLHOOK_TOKEN");
    return new ApiClient({
      url: await daemonUrl(options, environment),
      ...(token !== undefined && token !== "" && { token }),
    });
  }

  async get<Answer>(path: string): Promise<Answer> {
    return (await this.#call(new Request(`${this.#base}${path}`))).answer as Answer;
  }

  /** Posts a JSON text as it stands; `status` tells a new thing from a repeat. */
  async post<Answer>(path: string, body?: string): Promise<{ status: number; answer: Answer }> {
    const { status, answer } = await this.#call(
      new Request(`${this.#base}${path}`, {
        method: "POST",
        ...(body !== undefined && { body, headers: { "content-type": "application/json" } }),
      }),
    );
    return { status, answer: answer as Answer };
  }

  [Symbol.dispose](): void {
    this.#http?.close();
  }

  async #call(request: Request): Promise<{ status: number; answer: unknown }> {
    request.headers.set("user-agent", `bellhook/${VERSION}`);
    if (this.#token !== undefined) request.headers.set("authorization", `Bearer ${this.#token}`);
    const controller = new AbortController();
    const stopTimer = this.#clock.after(ANSWER_WITHIN_MS, () => controller.abort());
    try {
      const response = await fetch(request, {
        redirect: "manual",
        signal: controller.signal,
        ...(this.#http && { client: this.#http }),
      });
      const text = await response.text();
      if (!response.ok) throw refused(this.#url, response.status, text);
      return { status: response.status, answer: parsed(text) };
    } catch (error) {
      throw error instanceof CommandError ? error : unreachable(this.#url, error as Error);
    } finally {
      stopTimer();
    }
  }
}

const ANSWER_WITHIN_MS = 60_000;

function unreachable(url: string, error: Error): CommandError {
  const why = error.name === "AbortError"
    ? `it did not answer within ${ANSWER_WITHIN_MS / 1_000} s`
    : 'start one with "bellhook serve", or name another with --url';
  return new CommandError(EXIT.unreachable, `no daemon answers at ${url}: ${why}`);
}

/** An answer's JSON; undefined where it has none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** RFC 9457, as the daemon writes it. */
interface Problem {
  readonly title?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly path?: string; readonly message?: string }[];
}

function refused(url: string, status: number, text: string): CommandError {
  const problem = (parsed(text) ?? {}) as Problem;
  const words = problem.detail ?? problem.title;
  if (words === undefined) {
    return new CommandError(
      exitCodeOf(status),
      `what answers at ${url} said ${status} and no more; is it a Bellhook daemon?`,
    );
  }
  const errors = (problem.errors ?? []).map(({ path, message }) =>
    path ? `\n  ${path}: ${message}` : `\n  ${message}`
  );
  const hint = status === 401 ? "; the token is taken from BELLHOOK_TOKEN" : "";
  return new CommandError(exitCodeOf(status), words + hint + errors.join(""));
}

function exitCodeOf(status: number): ExitCode {
  if (status === 401 || status === 403) return EXIT.notAllowed;
  if (status === 404) return EXIT.notFound;
  return [400, 413, 415, 422].includes(status) ? EXIT.notValid : EXIT.failed;
}
