/** A browser without script: pages, forms and cookies, over plain HTTP. */
export class Visitor {
  readonly #origin: string;
  readonly #cookies = new Map<string, string>();

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** What goes out with every request. */
  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** Asks for a page and follows where it leads. */
  async open(path: string, headers: Record<string, string> = {}): Promise<Visit> {
    return await this.#follow(await this.ask(path, { headers }));
  }

  /** Sends the form of a page that has this action, with further fields, and follows. */
  async submit(
    page: Visit,
    action: string,
    fields: Readonly<Record<string, string | readonly string[]>> = {},
  ): Promise<Visit> {
    const form = page.forms.find((one) => one.action === action);
    if (!form) throw new Error(`no form for ${action} on ${page.path}`);
    return await this.post(action, { ...form.hidden, ...fields });
  }

  /** Posts fields of whatever kind, and follows. */
  async post(
    path: string,
    fields: Readonly<Record<string, string | readonly string[]>>,
    headers: Record<string, string> = {},
  ): Promise<Visit> {
    const body = new URLSearchParams(
      Object.entries(fields).flatMap(([name, value]) =>
        [value].flat().map((one): [string, string] => [name, one as string])
      ),
    );
    return await this.#follow(await this.ask(path, { method: "POST", body, headers }));
  }

  /** One request, with the cookies of those before. */
  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.cookie !== "") headers.set("cookie", this.cookie);
    const response = await fetch(this.#origin + path, { ...init, headers, redirect: "manual" });
    for (const set of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set)!;
      if (/Max-Age=0/i.test(set)) this.#cookies.delete(name!);
      else this.#cookies.set(name!, value!);
    }
    return response;
  }

  async #follow(response: Response): Promise<Visit> {
    const location = response.headers.get("location");
    if (location === null) return new Visit(response, await response.text());
    await response.body?.cancel();
    return await this.open(location);
  }
}

interface Form {
  readonly action: string;
  readonly hidden: Readonly<Record<string, string>>;
}

/** A page as it came. */
export class Visit {
  readonly status: number;
  readonly headers: Headers;
  /** Path and query. */
  readonly path: string;

  constructor(response: Response, readonly html: string) {
    const { pathname, search } = new URL(response.url);
    this.status = response.status;
    this.headers = response.headers;
    this.path = pathname + search;
  }

  /** What stands on the page, without its mark-up. */
  get text(): string {
    return unescape(this.html.replace(/<[^>]*>/g, " ")).replace(/\s+/g, " ");
  }

  get title(): string {
    return unescape(/<title>([^<]*)/.exec(this.html)?.[1] ?? "");
  }

  /** Where the links lead. */
  get links(): string[] {
    return [...this.html.matchAll(/<a [^>]*?href="([^"]*)"/g)].map((found) => unescape(found[1]!));
  }

  get forms(): Form[] {
    return [...this.html.matchAll(/<form [^>]*?action="([^"]*)"[^>]*>(.*?)<\/form>/gs)].map(
      ([, action, inner]) => ({
        action: unescape(action!),
        hidden: Object.fromEntries(
          [...inner!.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)].map(
            ([, name, value]) => [unescape(name!), unescape(value!)],
          ),
        ),
      }),
    );
  }
}

function unescape(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'").replaceAll("&amp;", "&");
}
