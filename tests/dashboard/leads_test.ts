import { assert, assertEquals, assertMatch } from "@std/assert";
import { aHouse } from "./a_house.ts";
import { signedIn } from "./signed_in.ts";
import type { Visit } from "./visitor.ts";

/** Where pages lead: to neighbours, to what belongs together, and to what can be done. */

Deno.test("delivery: its neighbours are those of the list that it was opened from", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const list = await visitor.open("/dashboard/deliveries?subscription=erp&limit=2");
  const rows = (page: Visit) =>
    [...page.html.matchAll(/data-href="([^"]*)"/g)].map(([, path]) =>
      path!.replaceAll("&amp;", "&")
    );
  const [first, second] = rows(list);
  const opened = await visitor.open(first!);
  assert(opened.links.includes("/dashboard/deliveries?subscription=erp&limit=2"));
  assert(opened.links.includes(second!) && !opened.text.includes("← Newer"));
  const { body } = await house.call("GET", "/v1/deliveries?subscription=erp&limit=3");
  const older = (await visitor.open(second!)).links.find((link) => link.includes("cursor"));
  assert(older?.startsWith(`/dashboard/deliveries/${body.items[2].id}?list=`), older);
  assertEquals((await visitor.open(older!)).status, 200);
});

Deno.test("delivery: the other deliveries of its event are listed", async () => {
  await using house = await aHouse();
  const { body } = await house.call("GET", "/v1/events?type=booking.cancelled&limit=1");
  const { body: event } = await house.call("GET", `/v1/events/${body.items[0].id}`);
  const [one, ...others] = event.deliveries.map(({ id }: { id: string }) => id);
  const page = await (await signedIn(house)).open(`/dashboard/deliveries/${one}`);
  assert(others.length > 0);
  for (const id of others) assert(page.links.includes(`/dashboard/deliveries/${id}`), id);
});

Deno.test("subscription: its header has the one action that fits its state", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const open = (id: string) => visitor.open(`/dashboard/subscriptions/${id}`);
  assertMatch((await open("venue-crm")).text, /✕ failing Retry all 1 waiting … Pause/);
  assertMatch((await open("pms-sync")).text, /‖ paused Resume Its deliveries/);
  assertMatch((await open("guest-app")).text, /✓ healthy Send a test event Pause/);
});

Deno.test("subscription: it says who is told, and what the last reload changed", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const words = JSON.parse(await Deno.readTextFile(house.configPath));
  words.subscriptions[0].concurrency = 3;
  await Deno.writeTextFile(house.configPath, JSON.stringify(words));
  const open = () => visitor.open("/dashboard/subscriptions/guest-app");
  assertMatch((await open()).text, /Who is told Nobody: the config has no notify/);
  await house.call("POST", "/-/reload");
  assertMatch((await open()).text, /Last config change: .* by ada: .*guest-app/);
});

Deno.test("deliveries: presets and chips change one filter and keep the others", async () => {
  await using house = await aHouse();
  const { links, html } = await (await signedIn(house)).open(
    "/dashboard/deliveries?state=pending&subscription=erp&status=503",
  );
  assert(links.includes("/dashboard/deliveries?state=failed&subscription=erp&status=503"));
  assert(links.includes("/dashboard/deliveries?subscription=erp&status=503"));
  assert(links.includes("/dashboard/deliveries?state=pending&status=503"));
  assert(links.includes("/dashboard/deliveries?state=pending&subscription=erp"));
  assertMatch(html, /<a [^>]*aria-current="true"[^>]*>Pending</);
});
