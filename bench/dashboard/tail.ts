import { chromium } from "playwright-core";
import { median } from "../load/statistics.ts";
import { CHROMIUM } from "../../tests/support/chromium.ts";

/** How responsive a page was while it followed the list. */
export interface Told {
  /** From a click to the frame that shows its effect. */
  readonly clickMs: number;
  readonly longestTaskMs: number;
  readonly swaps: number;
}

export interface WatchedPage {
  /** Starts measuring: clicks once a second. */
  begin(): void;
  end(): Promise<Told>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Asks, while something is done, for what a page that follows asks for; shows nothing of it. */
export async function followedBy<Done>(url: string, act: () => Promise<Done>): Promise<Done> {
  const leaving = new AbortController();
  const stream = await fetch(`${url}/live`, { signal: leaving.signal });
  const told = stream.body!.pipeTo(new WritableStream()).catch(() => {});
  const timer = setInterval(() => void open(url, leaving.signal), FOLLOW_MS);
  try {
    return await act();
  } finally {
    clearInterval(timer);
    leaving.abort();
    await told;
  }
}

async function open(url: string, signal: AbortSignal): Promise<void> {
  try {
    await (await fetch(url, { signal })).arrayBuffer();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** The shortest interval at which the page fetches its list. */
const FOLLOW_MS = 2_000;

/** Opens a list of deliveries in a browser, with live updates; undefined without a browser. */
export async function watchTail(url: string): Promise<WatchedPage | undefined> {
  if (CHROMIUM === undefined) return undefined;
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
  });
  const page = await browser.newPage();
  await page.goto(url);
  await page.getByText("following what comes").waitFor();
  await page.evaluate(OBSERVE);
  const clicks: number[] = [];
  let timer: ReturnType<typeof setInterval> | undefined, clicking = Promise.resolve();
  async function click() {
    clicks.push(Number(await page.evaluate(CLICK)));
  }
  return {
    begin() {
      clicking = page.evaluate(OBSERVE).then(() => {});
      timer = setInterval(() => clicking = clicking.then(click), 1_000);
    },
    async end() {
      clearInterval(timer);
      await clicking;
      const seen = await page.evaluate("window.seen") as { longest: number; swaps: number };
      return { clickMs: median(clicks), longestTaskMs: seen.longest, swaps: seen.swaps };
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

/** Starts to record tasks that block the page, and updates of the list. */
const OBSERVE = `
  window.observers?.forEach((one) => one.disconnect());
  window.seen = { longest: 0, swaps: 0 };
  const tasks = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      window.seen.longest = Math.max(window.seen.longest, duration);
    }
  });
  tasks.observe({ type: "longtask" });
  const lists = new MutationObserver(() => window.seen.swaps++);
  lists.observe(document.getElementById("list").parentNode, { childList: true });
  window.observers = [tasks, lists];
`;

/** Opens the help on keys, waits for the frame that shows it, and closes it. */
const CLICK = `new Promise((resolve) => {
  const startedAt = performance.now();
  document.querySelector("[data-shows]").click();
  requestAnimationFrame(() => setTimeout(() => {
    resolve(performance.now() - startedAt);
    document.getElementById("keys").close();
  }));
})`;
