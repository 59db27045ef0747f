/**
 * Takes pictures of the dashboard: `deno task screenshots` those that the README shows, with
 * `--all FOLDER` every screen, in light and dark, wide and narrow, from top to bottom.
 */
import { parseArgs } from "node:util";
import { type Browser, openBrowser, type Page } from "../support/browser.ts";
import { CHROMIUM } from "../support/chromium.ts";
import { aHouse, type House, TOKEN } from "./a_house.ts";

interface Picture {
  readonly file: string;
  readonly path: string;
  readonly colorScheme: "light" | "dark";
  readonly viewport: { readonly width: number; readonly height: number };
  readonly fullPage: boolean;
}

if (CHROMIUM === undefined) {
  console.error("no Chromium is there to take them with: apt-get install chromium");
  Deno.exit(1);
}
const { values, positionals: [folder = "screenshots"] } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: { all: { type: "boolean", default: false } },
});
await Deno.mkdir(folder, { recursive: true });
await using house = await aHouse({ hours: 30 * 24 });
const browser = await openBrowser();
const screens = await screensOf(house);
for (const picture of values.all ? everyPicture(screens) : readmePictures(screens)) {
  await take(browser, picture);
}
await browser.close();

/** Small enough to be read with the text around them, and to be kept. */
function readmePictures(screens: ReadonlyMap<string, string>): Picture[] {
  const picture = (screen: string, colorScheme: Picture["colorScheme"], height: number) => ({
    file: `${screen}-${colorScheme}`,
    path: screens.get(screen)!,
    colorScheme,
    viewport: { width: 1080, height },
    fullPage: false,
  });
  return [
    picture("overview", "light", 900),
    picture("retrying", "light", 900),
    picture("receiver", "light", 760),
    picture("deliveries", "dark", 760),
  ];
}

function everyPicture(screens: ReadonlyMap<string, string>): Picture[] {
  return (["light", "dark"] as const).flatMap((colorScheme) =>
    [1280, 390].flatMap((width) =>
      [...screens].map(([screen, path]) => ({
        file: `${screen}-${colorScheme}-${width}`,
        path,
        colorScheme,
        viewport: { width, height: 900 },
        fullPage: true,
      }))
    )
  );
}

async function take(
  browser: Browser,
  { file, path, colorScheme, viewport, fullPage }: Picture,
): Promise<void> {
  const page = await browser.newPage({ colorScheme, viewport });
  await signIn(page);
  await page.goto(house.url + path);
  await page.screenshot({ path: `${folder}/${file}.png`, fullPage });
  await page.close();
  console.log(`${folder}/${file}.png`);
}

async function screensOf(house: House): Promise<ReadonlyMap<string, string>> {
  const { body: failed } = await house.call("GET", "/v1/deliveries?state=exhausted&limit=1");
  const { body: waiting } = await house.call(
    "GET",
    "/v1/deliveries?state=pending&subscription=erp",
  );
  const { body: events } = await house.call("GET", "/v1/events?limit=5");
  return new Map([
    ["overview", "/"],
    ["deliveries", "/dashboard/deliveries?limit=12"],
    ["delivery", `/dashboard/deliveries/${failed.items[0].id}`],
    ["retrying", `/dashboard/deliveries/${waiting.items[0].id}`],
    ["subscription", "/dashboard/subscriptions/guest-app"],
    ["subscriptions", "/dashboard/subscriptions"],
    ["events", "/dashboard/events?limit=8"],
    ["event", `/dashboard/events/${events.items[0].id}`],
    ["receiver", "/dashboard/receivers/guest-app"],
    ["receivers", "/dashboard/receivers"],
    ["config", "/dashboard/config"],
    ["history", "/dashboard/history"],
  ]);
}

async function signIn(page: Page): Promise<void> {
  await page.goto(house.url);
  await page.getByLabel("Token").fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${house.url}/`);
}
