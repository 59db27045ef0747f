import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { progressText } from "../../src/cli/progress_bar.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { aHouse, objectsOf, rowsOf, to } from "./a_house.ts";
import { finish, start } from "./captured.ts";

const DELIVERY = {
  event: "evt_1",
  type: "booking.created",
  subscription: "crm",
  state: "delivered",
  held: false,
  attemptCount: 1,
  createdAt: "2024-03-15T10:30:00Z",
};

/** Answers as a daemon does whose search takes several calls, each of which takes 0.6 s. */
function aSlowSearch(clock: FakeClock, { foundIn = -1, on = () => {} }: {
  foundIn?: number;
  on?: (call: number) => unknown;
} = {}) {
  const asked: URL[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const url = new URL(request.url);
    const call = asked.push(url) - 1;
    clock.advance(600);
    on(call);
    const next = call < 5 ? `c${call + 1}` : null;
    return Response.json({
      items: call === foundIn ? [{ ...DELIVERY, id: "dlv_01HS0ZQEG00000000000000001" }] : [],
      next,
      ...(next !== null && {
        searched: {
          backTo: `2024-03-1${9 - call}T08:05:59.5Z`,
          rows: call * 500_000,
          of: 3_000_000,
        },
      }),
    });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("deliveries --q: walks on by itself and says how far back it is, also with --json", async () => {
  for (const json of [[], ["--json"]]) {
    const clock = new FakeClock();
    await using daemon = aSlowSearch(clock, { foundIn: 3 });
    const { exitCode, stdout, stderr } = await finish(
      ["deliveries", "--q", "bk_1", ...json, "--url", daemon.url],
      { clock, watched: true, columns: 120 },
    );
    assertEquals(exitCode, 0, stderr);
    assertStringIncludes(stdout, "dlv_01HS0ZQEG00000000000000001");
    assertStringIncludes(stderr, "searching [##------]  33%  1.0M of 3.0M");
    assertStringIncludes(stderr, "back to 2024-03-17 08:05");
    assert(stderr.endsWith("\r\x1b[K"), "the line is taken away at the end");
    assertEquals(daemon.asked.map(({ searchParams }) => searchParams.get("cursor")), [
      null,
      "c1",
      "c2",
      "c3",
      "c4",
      "c5",
    ]);
    assert(daemon.asked.every(({ searchParams }) => searchParams.get("q") === "bk_1"));
  }
});

Deno.test("deliveries --q: nothing is drawn where nobody watches", async () => {
  const clock = new FakeClock();
  await using daemon = aSlowSearch(clock);
  const { stdout, stderr } = await finish(["deliveries", "--q", "x", "--url", daemon.url], {
    clock,
  });
  assertEquals([stdout, stderr], ["", "no delivery fits\n"]);
});

Deno.test("deliveries --q: stopped, it shows what it has found and how to go on", async () => {
  const clock = new FakeClock();
  await using daemon = aSlowSearch(clock, {
    foundIn: 0,
    on: (call) => call === 2 && command.signal("SIGINT"),
  });
  const command = start(["deliveries", "--q", "x", "--url", daemon.url], { clock, columns: 120 });
  assertEquals(await command.exit, 1);
  assertEquals(daemon.asked.length, 3, "it does not walk on to the end");
  assertStringIncludes(command.stdout, "dlv_01HS0ZQEG00000000000000001");
  assertMatch(
    command.stderr,
    /stopped: searched back to (2024-03-1\dT08:05:59.5Z); --until \1 goes on from there/,
  );
});

Deno.test("deliveries --q: ids, their beginnings, names and texts are one search", async () => {
  await using house = await aHouse({
    subscriptions: (server) => [to(server, { enabled: false })],
  });
  const { body } = await house.daemon.call("POST", "/v1/events", {
    id: "bk_77-created",
    type: "booking.created",
    data: { guest: "Zoë" },
  });
  const [{ id }] = body.deliveries;
  for (const q of ["bk_77", id, id.slice(0, 20), "guests", "booking.created", "zoë"]) {
    const { stdout } = await house.run(["deliveries", "--q", q]);
    assertEquals(rowsOf(stdout).map(([first]) => first), [id], q);
  }
  const lost = await house.run(["deliveries", "bk 77"]);
  assertEquals(lost.exitCode, 3);
  assertStringIncludes(lost.stderr, "to search for it, write bellhook deliveries --q 'bk 77'");
  const { stdout } = await house.run(["deliveries", "--q", "nowhere", "--json"]);
  assertEquals(objectsOf(stdout), []);
});

Deno.test("progress: what a search says fits into 80 columns", () => {
  const text = progressText(
    { doing: "searching", done: 310_000, total: 10_000_000, note: "back to 2024-03-15 10:30" },
    { elapsedMs: 2_000, since: 310_000 },
  );
  assertEquals(
    text,
    "searching [--------]   3%  310.0k of 10.0M  1m3s left  back to 2024-03-15 10:30",
  );
  assert(text.length <= 80, String(text.length));
});
