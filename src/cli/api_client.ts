import { type Clock, systemClock } from "../runtime/clock.ts";
import { systemEnvironment } from "../runtime/environment.ts";
import { VERSION } from "../version.ts";
import type { Searched } from "./answers.ts";
import { daemonUrl } from "./config_file.ts";
import { CommandError, EXIT, type ExitCode, NotNowError } from "./exit_code.ts";
import type { GlobalOptions } from "./shell.ts";
import type { Terminal } from "./terminal.ts";

/** The HTTP API as the commands see it: an answer, or a CommandError with its exit code. */
export class ApiClient {
  /** As it is told to people. */
  readonly #url: string;
  readonly #base: string;
  readonly #token: string | undefined;
  readonly #clock: Clock;
  readonly #http: Deno.HttpClient | undefined;

  constructor(
    { url, token, clock = systemClock }: { url: string; token?: string; clock?: Clock },
  ) {
    this.#url = withoutUser(url);
    this.#token = token;
    if (token !== undefined && !VISIBLE_ASCII.test(token)) {
      throw new CommandError(
        EXIT.notValid,
        "BELLHOOK_TOKEN holds characters that no token has; copy it anew from where it was made",
      );
    }
    this.#clock = clock;
    if (url.startsWith("unix:")) {
      const path = url.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
      this.#http = Deno.createHttpClient({ proxy: { transport: "unix", path } });
      this.#base = "http://localhost";
    } else if (/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
      this.#http = pastProxies(new URL(url));
      this.#base = url.replace(/\/+$/, "");
    } else {
      throw new CommandError(
        EXIT.notValid,
        `"${this.#url}" is no URL of a daemon; write it as http://127.0.0.1:8420 or unix:/path`,
      );
    }
  }

  /** The daemon that a command's options, the environment or the config file names. */
  static async for(
    options: GlobalOptions,
    { environment, clock }: Terminal,
  ): Promise<ApiClient> {
    const token = environment.get("BELLHOOK_TOKEN")?.trim();
    return new ApiClient({
      url: await daemonUrl(options, environment),
      clock,
      ...(token !== undefined && token !== "" && { token }),
    });
  }

  async get<Answer>(path: string): Promise<Answer> {
    return (await this.#call(this.#request(path))).answer as Answer;
  }

  /** Posts a JSON text as it stands; `status` tells a new thing from a repeat. */
  async post<Answer>(
    path: string,
    body?: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ status: number; answer: Answer }> {
    const { status, answer } = await this.#call(
      this.#request(path, {
        method: "POST",
        headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
        ...(body !== undefined && { body }),
      }),
    );
    return { status, answer: answer as Answer };
  }

  /**
   * A list to its end, page by page. A page may be short, even empty, and not be the last: `onSearched` is
   * told then how far back a search is.
   */
  async *pages<Item>(
    path: string,
    query: Query = {},
    onSearched: (searched: Searched) => void = () => {},
  ): AsyncGenerator<readonly Item[]> {
    let cursor: string | undefined;
    do {
      const text = queryText({ ...query, cursor });
      const page: Page<Item> = await this.get(`${path}${text}`);
      if (page.searched) onSearched(page.searched);
      yield page.items;
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
  }

  /** Undefined while the daemon takes events, else why it does not. */
  async notReadyBecause(): Promise<string | undefined> {
    const { ok, status, text } = await this.#exchange(this.#request("/-/ready"));
    if (ok) return undefined;
    const { detail } = (parsed(text) ?? {}) as Problem;
    if (status === 503 && detail !== undefined) return detail;
    throw refused(this.#url, status, text);
  }

  /** An answer without an end, until it breaks off or the controller ends it. */
  async stream(
    path: string,
    { controller, headers }: { controller: AbortController; headers: Record<string, string> },
  ): Promise<ReadableStream<Uint8Array>> {
    return await this.#inTime(controller, async () => {
      const response = await this.#fetch(this.#request(path, { headers }), controller);
      if (!response.ok) throw refused(this.#url, response.status, await response.text());
      return response.body ?? new Blob([]).stream();
    });
  }

  [Symbol.dispose](): void {
    this.#http?.close();
  }

  #request(path: string, init: RequestInit = {}): Request {
    return new Request(`${this.#base}${path}`, init);
  }

  async #call(request: Request): Promise<{ status: number; answer: unknown }> {
    const { ok, status, text, retryAfter } = await this.#exchange(request);
    const answer = parsed(text);
    if (!ok || answer === undefined) throw refused(this.#url, status, text, retryAfter);
    return { status, answer };
  }

  async #exchange(request: Request): Promise<Exchanged> {
    const controller = new AbortController();
    return await this.#inTime(controller, async () => {
      const response = await this.#fetch(request, controller);
      const retryAfter = response.headers.get("retry-after") ?? undefined;
      const { ok, status } = response;
      return { ok, status, text: await response.text(), ...(retryAfter && { retryAfter }) };
    });
  }

  async #fetch(request: Request, { signal }: AbortController): Promise<Response> {
    request.headers.set("user-agent", `bellhook/${VERSION}`);
    if (this.#token !== undefined) request.headers.set("authorization", `Bearer ${this.#token}`);
    return await fetch(request, {
      redirect: "manual",
      signal,
      ...(this.#http && { client: this.#http }),
    });
  }

  async #inTime<Answer>(
    controller: AbortController,
    answer: () => Promise<Answer>,
  ): Promise<Answer> {
    const stopTimer = this.#clock.after(ANSWER_WITHIN_MS, () => controller.abort());
    try {
      return await answer();
    } catch (error) {
      throw error instanceof CommandError ? error : unreachable(this.#url, error as Error);
    } finally {
      stopTimer();
    }
  }
}

interface Exchanged {
  readonly ok: boolean;
  readonly status: number;
  readonly text: string;
  readonly retryAfter?: string;
}

/** A URL without the user and the password in it. */
function withoutUser(url: string): string {
  return url.replace(/^([^/?#]*:\/\/)[^/?#]*@/, "$1…@");
}

/**
 * What HTTP_PROXY and its kin name is for other machines, and the token is not for it: this one is asked
 * directly. Undefined: the environment decides, or names none.
 */
function pastProxies({ protocol, hostname, port }: URL): Deno.HttpClient | undefined {
  // Such a client puts the whole URL into the request's first line: only where it has to be one.
  const isNamed = PROXY_VARIABLES.some((name) => systemEnvironment.get(name));
  if (!isNamed || protocol !== "http:" || !LOOPBACK.test(hostname)) return undefined;
  const address = hostname.replace(/^\[|\]$/g, "");
  return Deno.createHttpClient({
    proxy: { transport: "tcp", hostname: address, port: Number(port || 80) },
  });
}

/** Those that Deno looks at for http. */
const PROXY_VARIABLES = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/** As `URL` has a host's name. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

const VISIBLE_ASCII = /^[!-~]+$/;

/** Parameters of a query; the undefined ones stay away. */
export type Query = { readonly [name: string]: string | number | undefined };

/** `?a=1&b=2`; empty where nothing is given. */
function queryText(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  if (given.length === 0) return "";
  return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

interface Page<Item> {
  readonly items: readonly Item[];
  /** Null on the last page. */
  readonly next: string | null;
  readonly searched?: Searched;
}

const ANSWER_WITHIN_MS = 60_000;

function unreachable(url: string, error: Error): CommandError {
  const why = error.name === "AbortError"
    ? `it did not answer within ${ANSWER_WITHIN_MS / 1_000} s`
    : 'start one with "bellhook serve", or name another with --url';
  return new NotNowError(EXIT.unreachable, `no daemon answers at ${url}: ${why}`);
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

function refused(url: string, status: number, text: string, retryAfter = ""): CommandError {
  const { exitCode, message } = told(url, status, text);
  if (status !== 429 && status !== 503) return new CommandError(exitCode, message);
  const isSeconds = /^\d{1,6}$/.test(retryAfter);
  return new NotNowError(exitCode, message, isSeconds ? Number(retryAfter) * 1_000 : undefined);
}

function told(
  url: string,
  status: number,
  text: string,
): { readonly exitCode: ExitCode; readonly message: string } {
  const problem = (parsed(text) ?? {}) as Problem;
  const words = problem.detail ?? problem.title;
  if (words === undefined) {
    // Not 3, whatever the status: nobody has looked for what was asked for.
    const isRefused = status === 401 || status === 403;
    return {
      exitCode: isRefused ? EXIT.notAllowed : EXIT.unreachable,
      message: `what answers at ${url} said ${status}, but not as a Bellhook daemon does; name ` +
        "another with --url",
    };
  }
  const errors = (problem.errors ?? []).map(({ path, message }) =>
    path ? `\n  ${path}: ${message}` : `\n  ${message}`
  );
  const hint = status === 401 ? "; the token is taken from BELLHOOK_TOKEN" : "";
  return { exitCode: exitCodeOf(status), message: words + hint + errors.join("") };
}

function exitCodeOf(status: number): ExitCode {
  if (status === 401 || status === 403) return EXIT.notAllowed;
  if (status === 404) return EXIT.notFound;
  return [400, 413, 415, 422].includes(status) ? EXIT.notValid : EXIT.failed;
}
