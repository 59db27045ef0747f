/** Takes the screenshots that the documentation shows: `deno task screenshots [FOLDER]`. */
import { openBrowser, type Page } from "../support/browser.ts";
import { CHROMIUM } from "../support/chromium.ts";
import { aHouse, type House, TOKEN } from "./a_house.ts";

const folder = Deno.args[0] ?? "screenshots";

if (CHROMIUM === undefined) {
  console.error("no Chromium is there to take them with: apt-get install chromium");
  Deno.exit(1);
}
await Deno.mkdir(folder, { recursive: true });
await using house = await aHouse({ hours: 30 * 24 });
const browser = await openBrowser();
const shots = await pagesOf(house);
for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [1280, 390]) {
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
    await signIn(page, house);
    for (const [name, path] of shots) {
      await page.goto(house.url + path);
      const path_ = `${folder}/${name}-${colorScheme}-${width}.png`;
      await page.screenshot({ path: path_, fullPage: true });
      console.log(path_);
    }
    await page.close();
  }
}
await browser.close();

async function pagesOf(house: House): Promise<[name: string, path: string][]> {
  const { body: failed } = await house.call("GET", "/v1/deliveries?state=exhausted&limit=1");
  const { body: events } = await house.call("GET", "/v1/events?limit=5");
  return [
    ["overview", "/"],
    ["deliveries", "/dashboard/deliveries?limit=12"],
    ["delivery", `/dashboard/deliveries/${failed.items[0].id}`],
    ["subscription", "/dashboard/subscriptions/guest-app"],
    ["subscriptions", "/dashboard/subscriptions"],
    ["events", "/dashboard/events?limit=8"],
    ["event", `/dashboard/events/${events.items[0].id}`],
    ["receiver", "/dashboard/receivers/guest-app"],
    ["config", "/dashboard/config"],
  ];
}

async function signIn(page: Page, house: House): Promise<void> {
  await page.goto(house.url);
  await page.getByLabel("Token").fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${house.url}/`);
}
