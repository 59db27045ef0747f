/** Stories of an operator at a real browser; `browser_test.ts` runs them. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Browser, openBrowser, type Page, violationsOf } from "../support/browser.ts";
import { until } from "../support/until.ts";
import { aHouse, type House, TOKEN } from "./a_house.ts";

function story(name: string, tell: (browser: Browser, house: House) => Promise<void>): void {
  Deno.test({
    name,
    // A browser's processes and sockets outlive a test's patience by a moment.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using house = await aHouse({ hours: 30 });
      const browser = await openBrowser();
      try {
        await tell(browser, house);
      } finally {
        await browser.close();
      }
    },
  });
}

/** A page that is signed in, and fails the test for whatever its console complains of. */
async function aPage(
  browser: Browser,
  house: House,
  options: Parameters<Browser["newContext"]>[0] = {},
): Promise<Page & { readonly complaints: string[] }> {
  const viewport = { width: 1280, height: 900 };
  const context = await browser.newContext({ viewport, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(house.url)) complaints.push(`asked for ${request.url()}`);
  });
  await page.goto(`${house.url}/`);
  await page.getByLabel("Token").fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  return Object.assign(page, { complaints });
}

async function pathsOf(house: House): Promise<string[]> {
  const newest = async (query: string) =>
    (await house.call("GET", `/v1/deliveries?limit=1&${query}`)).body.items[0];
  const [failed, waiting, held, fine] = await Promise.all([
    newest("state=exhausted"),
    newest("state=pending&subscription=erp"),
    newest("subscription=pms-sync"),
    newest("state=delivered"),
  ]);
  return [
    "/",
    "/dashboard/deliveries?limit=10",
    "/dashboard/deliveries?state=cancelled",
    ...[failed, waiting, held, fine].map(({ id }) => `/dashboard/deliveries/${id}?list=all`),
    "/dashboard/subscriptions",
    "/dashboard/subscriptions/guest-app",
    "/dashboard/subscriptions/venue-crm?failedSince=2020-01-01T00:00",
    "/dashboard/subscriptions/pms-sync",
    "/dashboard/events?limit=10",
    `/dashboard/events/${failed.event}`,
    "/dashboard/receivers",
    ...["guest-app", "erp"].map((id) => `/dashboard/receivers/${id}`),
    "/dashboard/config",
    "/dashboard/history",
    "/dashboard/bulk?state=pending",
    "/?span=week&show=failed",
    "/dashboard/deliveries?state=pending&subscription=erp&status=503",
  ];
}

const LOOKS = (["light", "dark"] as const).flatMap((colorScheme) =>
  [1280, 390].map((width) => ({ colorScheme, width }))
);

story(
  "every screen is accessible and fits, in light and dark, at 1280 and 390 pixels",
  async (browser, house) => {
    const page = await aPage(browser, house);
    const look = async (screen: string) => {
      for (const { colorScheme, width } of LOOKS) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 900 });
        const seen = `${screen} in ${colorScheme} at ${width}`;
        assertEquals(await violationsOf(page), [], seen);
        const wide = await page.evaluate("document.documentElement.scrollWidth");
        assert(Number(wide) <= width, `${seen} is ${wide} pixels wide`);
      }
    };
    for (const path of await pathsOf(house)) {
      await page.goto(house.url + path);
      // What is folded is looked at as well.
      await page.evaluate(
        `for (const one of document.querySelectorAll("details")) one.open = true`,
      );
      await look(path);
    }
    await page.getByRole("button", { name: "Menu" }).click();
    await look("the open menu");
    await page.goto(`${house.url}/dashboard/nonsense`);
    await page.getByRole("heading", { name: "No such page" }).waitFor();
    await look("a wrong address");
    assertMatch(page.complaints.splice(0).join(), /^Failed to load resource: .* 404 /);
    await page.goto(`${house.url}/`);
    await page.setViewportSize({ width: 390, height: 844 });
    await page.reload();
    await page.getByRole("button", { name: "Menu" }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    await look("sign-in");
    assertEquals(page.complaints, []);
  },
);

story("without script every screen is read and every action done", async (browser, house) => {
  const page = await aPage(browser, house, { javaScriptEnabled: false });
  for (const path of await pathsOf(house)) {
    await page.goto(house.url + path);
    assert(await page.getByRole("heading", { level: 1 }).isVisible(), path);
    const dead = await page.locator(".needs-script:visible").count();
    assertEquals(dead, 0, `${path} shows what only script could do`);
  }
  await page.goto(`${house.url}/dashboard/deliveries?subscription=pms-sync`);
  await page.getByRole("checkbox").first().check();
  await page.getByRole("button", { name: "Cancel selected" }).click();
  assertMatch(await page.getByRole("status").first().innerText(), /1 delivery cancelled/);
  await page.goto(`${house.url}/dashboard/subscriptions/guest-app`);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Send booking.created" }).click();
  assertMatch(await page.getByRole("status").innerText(), /test event is on its way/);
  await page.getByRole("button", { name: "Hide payloads" }).click();
  assert(await page.getByText("Payloads are hidden").first().isVisible());
  await page.getByRole("button", { name: "Sign out" }).click();
  assert(await page.getByLabel("Token").isVisible());
});

story("every button does what it says, and who pressed it is on record", async (browser, house) => {
  const page = await aPage(browser, house);
  page.on("dialog", (dialog) => void dialog.accept());
  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  const told = (text: string) => page.getByRole("status").getByText(text).waitFor();
  const { body: waiting } = await house.call(
    "GET",
    "/v1/deliveries?state=pending&subscription=erp",
  );

  await page.goto(`${house.url}/dashboard/deliveries/${waiting.items[0].id}`);
  await press("Retry now");
  await told("The next attempt was put forward.");
  await press("Cancel");
  await told("It was cancelled.");
  await press("Send again");
  await told("It was sent again; this is the new delivery.");

  await page.goto(`${house.url}/dashboard/deliveries?state=exhausted`);
  await page.getByRole("checkbox", { name: "Select contact" }).first().check();
  await page.getByRole("checkbox", { name: "Select contact" }).nth(1).check();
  await press("Retry selected");
  await told("2 deliveries retried.");

  await page.goto(`${house.url}/dashboard/subscriptions/guest-app`);
  await page.getByLabel("Type").selectOption("booking.cancelled");
  await press("Show its example");
  assertMatch(await page.getByLabel("Data, as JSON").inputValue(), /"id": "bk_1"/);
  await page.getByLabel("Data, as JSON").fill('{"id": "bk_chosen"}');
  await press("Send booking.cancelled");
  await told("The test event is on its way.");
  await until(() => house.received.some(({ body }) => body.includes("bk_chosen")), "it arrives");
  await page.goto(`${house.url}/dashboard/subscriptions/guest-app`);
  await press("Pause");
  await told("It is paused: its deliveries wait until it is resumed.");
  await press("Resume");
  await told("It is resumed: what waited goes out now.");

  await page.goto(`${house.url}/dashboard/subscriptions/venue-crm`);
  await page.getByLabel("Since").fill("2020-01-01T00:00");
  await press("Count them");
  await page.getByRole("button", { name: /^Send \d+ deliveries again$/ }).click();
  await told("The failed deliveries are being sent again");

  const words = JSON.parse(await Deno.readTextFile(house.configPath));
  words.subscriptions[0].concurrency = 3;
  await Deno.writeTextFile(house.configPath, JSON.stringify(words));
  await page.goto(`${house.url}/dashboard/config`);
  assert(await page.getByText("concurrency 16 → 3").isVisible());
  await press("Reload now");
  await told("The config was reloaded");

  await page.goto(`${house.url}/dashboard/history`);
  const done = await page.getByRole("listitem").allInnerTexts();
  for (
    const kind of [
      "the next attempt was put forward",
      "cancelled",
      "sent again as dlv_",
      "tested",
      "paused",
      "resumed",
      "replayed",
      "reloaded",
    ]
  ) {
    assert(
      done.some((text) => text.includes(kind) && text.includes("by ada")),
      `${kind} of ${done}`,
    );
  }

  await press("Sign out");
  await page.getByLabel("Token").fill("not a token");
  await press("Sign in");
  await told("The token is not one of auth.operators.");
});

story(
  "filters stand in the address; a jump leads back in time, and home",
  async (browser, house) => {
    const page = await aPage(browser, house);
    await page.goto(`${house.url}/dashboard/deliveries`);
    await page.getByRole("link", { name: "Delivered", exact: true }).click();
    await page.getByText("+ filter").click();
    await page.getByLabel("Subscription", { exact: true }).fill("guest-app");
    const yesterday = new Date(Date.now() - 20 * 3_600_000).toISOString().slice(0, 16);
    await page.getByLabel("Before").fill(yesterday);
    await page.getByRole("button", { name: "Show", exact: true }).click();
    await page.waitForURL(/state=delivered&subscription=guest-app.*until=/);
    const times = await page.evaluate(`Array.from(
    document.querySelectorAll("[data-label=Created] time"), (time) => time.dateTime)`) as string[];
    assert(times.length > 0 && times.every((at) => at < yesterday), times.join(" "));
    assertEquals(await page.locator("[data-live]").count(), 0);
    const filtered = await browser.newContext({
      storageState: await page.context().storageState(),
    });
    const shared = await filtered.newPage();
    await shared.goto(page.url());
    assertEquals(
      await shared.getByLabel("Subscription", { exact: true }).inputValue(),
      "guest-app",
    );
    await shared.getByRole("link", { name: "subscription: guest-app" }).click();
    assertMatch(shared.url(), /state=delivered&until=/);
    await page.getByRole("link", { name: "Newest" }).click();
    await page.getByText("following what comes").waitFor();
    assertMatch(page.url(), /state=delivered&subscription=guest-app$/);
    assertEquals(page.complaints, []);
  },
);

story(
  "twenty deliveries fit on a screen, each on one line that says why",
  async (browser, house) => {
    const page = await aPage(browser, house, { viewport: { width: 1440, height: 900 } });
    await page.goto(`${house.url}/dashboard/deliveries`);
    const heights = await page.evaluate(`Array.from(
    document.querySelectorAll("#deliveries tbody tr"), (row) => {
      const { height, bottom } = row.getBoundingClientRect();
      return [Math.round(height), bottom <= innerHeight];
    })`) as [height: number, isVisible: boolean][];
    const visible = heights.filter(([, isVisible]) => isVisible);
    assert(visible.length >= 20, `${visible.length} rows fit`);
    assert(visible.every(([height]) => height <= 33), `${heights}`);
    await page.goto(`${house.url}/dashboard/deliveries?subscription=erp&state=pending`);
    assertMatch(
      await page.locator("#deliveries .detail").first().innerText(),
      /503 Service Unavailable next in/,
    );
    await page.setViewportSize({ width: 390, height: 844 });
    const [first] = await page.evaluate(`Array.from(
    document.querySelectorAll("#deliveries tbody tr"), (row) => row.offsetHeight)`) as number[];
    assert(first! <= 64, `two lines, not ${first} pixels`);
  },
);

story("no word of a table is broken, however narrow it is", async (browser, house) => {
  const page = await aPage(browser, house);
  for (const width of [1440, 1024, 390]) {
    await page.setViewportSize({ width, height: 844 });
    for (
      const path of ["/", "/dashboard/deliveries", "/dashboard/subscriptions", "/dashboard/events"]
    ) {
      await page.goto(house.url + path);
      assertEquals(await page.evaluate(BROKEN_WORDS), [], `${path} at ${width}`);
    }
  }
});

/** Words of tables and tiles that stand on two lines; ids may be longer than any column. */
const BROKEN_WORDS =
  `Array.from(document.querySelectorAll("td, th, dt, dd, .choices a")).flatMap((cell) => {
  const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), broken = [];
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    for (const { 0: word, index } of text.data.matchAll(/\\S+/g)) {
      if (word.length > 24) continue;
      const range = document.createRange();
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      const tops = new Set(Array.from(range.getClientRects(), ({ top }) => Math.round(top)));
      if (tops.size > 1) broken.push(word);
    }
  }
  return broken;
})`;

story("on a phone the menu opens by a button, without script as well", async (browser, house) => {
  const page = await aPage(browser, house, { javaScriptEnabled: false });
  await page.setViewportSize({ width: 390, height: 844 });
  const config = page.getByRole("link", { name: "Config", exact: true });
  assertEquals(await config.isVisible(), false);
  await page.getByRole("button", { name: "Menu" }).click();
  await config.click();
  await page.getByRole("heading", { level: 1, name: "Config" }).waitFor();
});

story("a chart tells its numbers under the pointer and by keys", async (browser, house) => {
  const page = await aPage(browser, house);
  const says = page.locator("[data-chart-says]");
  assertMatch(await says.innerText(), /attempts? at the peak/);
  const bars = page.locator("[data-says]");
  const [first, last] = await Promise.all(
    [bars.first(), bars.last()].map((bar) => bar.getAttribute("data-says")),
  );
  await bars.first().hover();
  assertEquals(await says.innerText(), first!);
  await page.reload();
  await page.locator("[data-chart]").first().focus();
  await page.keyboard.press("ArrowRight");
  assertEquals(await says.innerText(), last!);
  await page.keyboard.press("ArrowLeft");
  assert(await says.innerText() !== last);
  assertEquals(page.complaints, []);
});

story("keys walk the rows, open one, retry one, and tell of themselves", async (browser, house) => {
  const page = await aPage(browser, house);
  await page.goto(`${house.url}/dashboard/deliveries?state=delivered`);
  const rows = page.locator("tbody tr");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  const first = await rows.first().getAttribute("data-id");
  assertEquals(await page.evaluate("document.activeElement.dataset.id"), first);
  await page.keyboard.press("x");
  assertEquals(await page.getByText("1 selected").count(), 1);
  await page.keyboard.press("/");
  assertEquals(await page.evaluate("document.activeElement.name"), "q");
  await page.keyboard.type("jkr?");
  assertEquals(await page.getByRole("banner").getByLabel("Search").inputValue(), "jkr?");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  assert(await page.getByRole("dialog", { name: "Keys" }).isVisible());
  assertEquals(await violationsOf(page), []);
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("r");
  await page.getByText("1 delivery retried.").waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(/deliveries\/dlv_/);
  await page.keyboard.press("r");
  await page.getByText("It was sent again").waitFor();
  assertEquals(page.complaints, []);
});

story("the tail follows what comes; paused, it counts", async (browser, house) => {
  const page = await aPage(browser, house);
  await page.goto(`${house.url}/dashboard/deliveries?subscription=guest-app`);
  await page.getByText("following what comes").waitFor();
  const post = (count: number) =>
    house.call(
      "POST",
      "/v1/events",
      Array.from({ length: count }, (_, n) => ({
        type: "payment.received",
        scope: { property_id: "prop_1" },
        data: { n },
      })),
    );
  const newest = async () => (await page.locator("tbody tr").first().getAttribute("data-id"))!;
  const before = await newest();
  await post(1);
  await until(async () => await newest() !== before, "the list follows");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("paused", { exact: true }).waitFor();
  const shown = await newest();
  await post(37);
  await page.getByRole("button", { name: "37 new" }).waitFor();
  assertEquals(await newest(), shown);
  assertEquals(await violationsOf(page), []);
  await page.getByRole("button", { name: "37 new" }).click();
  await until(async () => await newest() !== shown, "the list shows them");
  assertEquals(page.complaints, []);
});

story("a page that is kept fresh keeps what was opened and selected", async (browser, house) => {
  const page = await aPage(browser, house);
  await page.goto(`${house.url}/dashboard/deliveries?subscription=guest-app`);
  await page.getByText("following what comes").waitFor();
  const box = page.locator("tbody tr").nth(1).getByRole("checkbox");
  const value = await box.getAttribute("value");
  await box.check();
  await house.call("POST", "/v1/events", {
    type: "payment.received",
    scope: { property_id: "prop_1" },
    data: 1,
  });
  const kept = page.locator(`input[value="${value}"]`);
  await until(
    async () => await page.locator("tbody tr input").nth(1).getAttribute("value") !== value,
    "the list moves on",
  );
  assert(await kept.isChecked());
  assertEquals(await page.getByText("1 selected").count(), 1);
});

story("all rows are selected at once, and cancelling asks first", async (browser, house) => {
  const page = await aPage(browser, house);
  await page.goto(`${house.url}/dashboard/deliveries?state=pending`);
  const asked: string[] = [];
  let answer = false;
  page.on("dialog", (dialog) => {
    asked.push(dialog.message());
    void (answer ? dialog.accept() : dialog.dismiss());
  });
  await page.getByLabel("Select all").check();
  const count = await page.locator("tbody tr").count();
  await page.getByText(`${count} selected`).waitFor();
  await page.getByRole("button", { name: "Cancel selected" }).click();
  assertEquals(asked, ["Cancel the selected deliveries for good?"]);
  answer = true;
  await page.getByRole("button", { name: "Cancel selected" }).click();
  await page.getByText(`${count} deliveries cancelled.`).waitFor();
  await page.getByText("No delivery fits").waitFor();
});

story("a request is copied as curl, and a sample as code", async (browser, house) => {
  const page = await aPage(browser, house, { permissions: ["clipboard-read", "clipboard-write"] });
  const { body } = await house.call("GET", "/v1/deliveries?subscription=erp&limit=1");
  await page.goto(`${house.url}/dashboard/deliveries/${body.items[0].id}`);
  await page.getByText("As curl").first().click();
  await page.getByRole("button", { name: "Copy", exact: true }).first().click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const copied = String(await page.evaluate("navigator.clipboard.readText()"));
  assertMatch(copied, /^curl --request POST --globoff http:\/\/127\.0\.0\.1:\d+\/erp/);
  await page.goto(`${house.url}/dashboard/receivers/erp`);
  await page.getByRole("button", { name: "Copy", exact: true }).first().click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  assertMatch(String(await page.evaluate("navigator.clipboard.readText()")), /createHmac/);
});

story("an id is copied whole by a click, from a row and from its page", async (browser, house) => {
  const page = await aPage(browser, house, { permissions: ["clipboard-read", "clipboard-write"] });
  const { body } = await house.call("GET", "/v1/deliveries?subscription=erp&limit=1");
  const [{ id, event }] = body.items;
  const copied = async (what: string) => {
    await page.getByRole("button", { name: `Copy ${what}`, exact: true }).first().click({
      timeout: 5_000,
    });
    await page.getByRole("button", { name: "Copied" }).waitFor();
    return await page.evaluate("navigator.clipboard.readText()");
  };
  await page.goto(`${house.url}/dashboard/deliveries/${id}`);
  assertEquals(await copied(id), id);
  await page.goto(`${house.url}/dashboard/deliveries?subscription=erp`);
  assertEquals(await copied(event), event);
});

story("what a receiver answered can't act on the page that shows it", async (browser, house) => {
  const page = await aPage(browser, house);
  const { body } = await house.call("GET", "/v1/deliveries?state=exhausted&limit=1");
  await page.goto(`${house.url}/dashboard/deliveries/${body.items[0].id}`);
  assert(await page.getByText('document.title = "owned"').first().isVisible());
  assertMatch(await page.title(), /contact\.created to venue-crm/);
  // Even where it got into the page, the policy would keep it from running.
  await page.evaluate(`document.body.insertAdjacentHTML(
    "beforeend", "<img src=x onerror=\\"document.title = 'owned'\\">")`);
  await until(() => page.complaints.some((text) => text.includes("Content Security Policy")));
  assertMatch(await page.title(), /contact\.created to venue-crm/);
});
