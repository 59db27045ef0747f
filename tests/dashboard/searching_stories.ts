/** Stories of a long search at a real browser; `searching_test.ts` runs them. */
import { assert, assertEquals } from "@std/assert";
import { openBrowser, type Page, violationsOf } from "../support/browser.ts";
import type { TestDaemon } from "../support/a_daemon.ts";
import { until } from "../support/until.ts";
import { aLongSearch } from "./a_long_search.ts";

function story(name: string, tell: (page: Page, daemon: TestDaemon) => Promise<void>): void {
  Deno.test({
    name,
    // A browser's processes and sockets outlive a test's patience by a moment.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using daemon = await aLongSearch();
      const browser = await openBrowser();
      try {
        const page = await browser.newPage();
        const complaints: string[] = [];
        page.on("pageerror", (error) => complaints.push(String(error)));
        page.on("console", (message) => {
          if (message.type() === "error") complaints.push(message.text());
        });
        await tell(page, daemon);
        assertEquals(complaints, []);
      } finally {
        await browser.close();
      }
    },
  });
}

story("a search from the box walks on by itself until it has found it", async (page, daemon) => {
  await page.goto(daemon.url);
  await page.keyboard.press("/");
  await page.keyboard.type("needle");
  await page.keyboard.press("Enter");
  await page.getByText("bk_77-created").waitFor();
  const { pathname, searchParams } = new URL(page.url());
  assertEquals([pathname, searchParams.get("q")], ["/dashboard/deliveries", "needle"]);
  await page.locator("[data-walk]").waitFor({ state: "hidden" });
  assertEquals(await page.locator("[data-found] tbody tr").count(), 1);
  assertEquals(await page.getByText("Nothing found yet").count(), 0);
  assertEquals(await violationsOf(page), []);
});

story(
  "a search that was stopped rests, says how far it is, and goes on when asked",
  async (page, daemon) => {
    let steps = 0;
    const third = Promise.withResolvers<void>(), stopped = Promise.withResolvers<void>();
    await page.route("**/dashboard/deliveries?*cursor=*", async (route) => {
      if (++steps === 3) {
        third.resolve();
        await stopped.promise;
      }
      await route.continue();
    });
    await page.goto(`${daemon.url}/dashboard/deliveries?q=needle`);
    await third.promise;
    assertEquals(await violationsOf(page), []);
    const before = await page.locator("[data-walk] p").innerText();
    await page.getByRole("button", { name: "Stop" }).click();
    stopped.resolve();
    const older = page.getByRole("link", { name: "Search older" });
    await older.waitFor();
    await until(async () => await page.locator("[data-walk] p").innerText() !== before);
    assertEquals(steps, 3, "it rests");
    const text = await page.locator("[data-walk]").innerText();
    assert(/Searched [\d,]+ of 60\d deliveries, back to 2024-03-15 12:00/.test(text), text);
    await older.click();
    await page.getByText("bk_77-created").waitFor();
    assert(new URL(page.url()).searchParams.get("cursor") === null, "on the same page");
  },
);

story(
  "rows that are found on the way are added below those that are there",
  async (page, daemon) => {
    await page.goto(`${daemon.url}/dashboard/deliveries?q=evt_59&limit=30`);
    await page.locator("[data-walk]").waitFor({ state: "hidden" });
    const ids = await page.locator("[data-found] tbody tr").evaluateAll(
      // deno-lint-ignore no-explicit-any -- elements of the page
      (rows: any[]) => rows.map((row) => row.dataset.id),
    );
    assertEquals(ids.length, 11);
    assertEquals(new Set(ids).size, 11);
  },
);
