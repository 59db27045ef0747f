/** A real browser for tests: the machine's Chromium, remote-controlled. */
import { AxeBuilder } from "@axe-core/playwright";
import { type Browser, chromium, type Page } from "playwright-core";
import { CHROMIUM } from "./chromium.ts";

export type { Browser, Page };

/** Flags that prevent all requests of the browser itself. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];

/** A machine that is busy with much else takes many times as long. */
const PATIENCE_MS = 120_000;

export async function openBrowser(): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM!,
    headless: true,
    args: ARGUMENTS,
    timeout: PATIENCE_MS,
  });
  const newContext = browser.newContext.bind(browser);
  // Pages that are opened without a context get one by this too.
  browser.newContext = async (options) => {
    const context = await newContext(options);
    context.setDefaultTimeout(PATIENCE_MS);
    return context;
  };
  return browser;
}

/** The problems that axe finds in a page, one line for each kind. */
export async function violationsOf(page: Page): Promise<string[]> {
  if (!await page.evaluate("'axe' in window")) await bringAxe(page);
  const violations = await page.evaluate(RUN) as Violation[];
  return violations.map(({ id, help, nodes }) =>
    `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`
  );
}

interface Violation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** Every rule, but no report of passed ones: that takes most of the time. */
const RUN = `axe.run(document, { resultTypes: ["violations"] }).then((found) => found.violations)`;

/** Called once for each page, because the builder injects axe each time. */
async function bringAxe(page: Page): Promise<void> {
  // deno-lint-ignore no-explicit-any -- the two packages declare a Page each
  const axe = new AxeBuilder({ page: page as any });
  // No second page is needed: there are no frames of other sites.
  await axe.setLegacyMode().withRules("document-title").analyze();
}
