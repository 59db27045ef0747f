import { assert, assertEquals } from "@std/assert";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { parseExposition } from "../support/exposition.ts";
import { promtool } from "../support/promtool.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

const RULES = await Deno.readTextFile("monitoring/alerts.yml");
const DASHBOARD: Dashboard = JSON.parse(await Deno.readTextFile("monitoring/grafana.json"));

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { name: string; definition?: string }[] };
  readonly annotations: { readonly list: readonly { expr: string }[] };
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly { readonly expr: string; readonly datasource: unknown }[];
}

Deno.test("monitoring: each alert is silent, then fires, by promtool where it is installed", async () => {
  const checked = await promtool(["check", "rules", "monitoring/alerts.yml"]);
  if (!checked) return;
  assertEquals(checked.code, 0, checked.said);
  const tested = await promtool(["test", "rules", "monitoring/alerts_test.yml"]);
  assertEquals(tested!.code, 0, tested!.said);
});

Deno.test("monitoring: every alert has a test", async () => {
  const tests = await Deno.readTextFile("monitoring/alerts_test.yml");
  const alerts = [...RULES.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);
  assert(alerts.length > 10);
  for (const alert of alerts) assert(tests.includes(`alertname: ${alert}\n`), alert);
});

Deno.test("monitoring: every metric that an alert or the dashboard names is in a real scrape", async () => {
  const scraped = await aWholeScrape();
  const exprs = [RULES, ...exprsOf(DASHBOARD)].join("\n");
  const named = new Set(exprs.match(/\b(bellhook|process)_[a-z_]+\b/g));
  assert(named.size > 20);
  for (const name of named) {
    const histogram = name.replace(/_(bucket|sum|count)$/, "");
    const isThere = scraped.get(name) ?? scraped.get(histogram)?.type === "histogram";
    assert(isThere, `there is no metric ${name}`);
  }
  const unused = [...scraped.keys()].filter((name) =>
    name.startsWith("bellhook_") && !exprs.includes(name)
  );
  assertEquals(unused, [], "these are shown nowhere");
});

Deno.test("monitoring: the handbook lists every metric with its labels, and no other", async () => {
  const scraped = await aWholeScrape();
  const handbook = await Deno.readTextFile("docs/operations.md");
  const listed = new Map(
    [...handbook.matchAll(/^\| `(\w+)` +\|([^|]*)\|/gm)]
      .filter(([, name]) => /^(bellhook|process)_/.test(name!))
      .map(([, name, labels]) => [name!, [...labels!.matchAll(/`(\w+)`/g)].map(([, one]) => one!)]),
  );
  // Where the process may not read /proc, it has no such number.
  const found = new Set([...scraped.keys(), "process_open_fds"]);
  assertEquals([...listed.keys()].sort(), [...found].sort());
  for (const [name, { samples }] of scraped) {
    const labels = new Set(samples.flatMap(({ labels }) => Object.keys(labels)));
    labels.delete("le");
    assertEquals(new Set(listed.get(name)), labels, name);
  }
});

Deno.test("monitoring: every label that an alert or the dashboard selects by has such values", async () => {
  const scraped = await aWholeScrape();
  const exprs = [RULES, ...exprsOf(DASHBOARD)].join("\n");
  for (const [, name, selectors] of exprs.matchAll(/\b(bellhook_[a-z_]+)\{([^}]*)\}/g)) {
    const family = scraped.get(name!) ?? scraped.get(name!.replace(/_(bucket|sum|count)$/, ""))!;
    for (const [, label, pattern] of selectors!.matchAll(/(\w+)=~?"([^"$]+)"/g)) {
      for (const value of pattern!.split("|")) {
        const has = family.samples.some(({ labels }) => labels[label!] === value);
        assert(has, `${name} has no ${label}="${value}"`);
      }
    }
  }
});

Deno.test("monitoring: the dashboard's panels have their places, and ask the chosen Prometheus", () => {
  const { panels } = DASHBOARD;
  assertEquals([DASHBOARD.uid, DASHBOARD.title], ["bellhook", "Bellhook"]);
  assert(DASHBOARD.schemaVersion >= 36);
  assertEquals(new Set(panels.map(({ id }) => id)).size, panels.length);
  const taken = new Map<string, string>();
  for (const { title, type, gridPos: { x, y, w, h }, targets = [] } of panels) {
    assert(x >= 0 && w > 0 && h > 0 && x + w <= 24, title);
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        const place = `${column},${line}`;
        assert(!taken.has(place), `${title} lies on ${taken.get(place)}`);
        taken.set(place, title);
      }
    }
    assertEquals(targets.length > 0, type !== "row", title);
    for (const { datasource } of targets) {
      assertEquals(datasource, { type: "prometheus", uid: "${datasource}" }, title);
    }
  }
});

Deno.test("monitoring: the dashboard's queries are PromQL, by promtool where it is installed", async () => {
  const rules = exprsOf(DASHBOARD).map((expr, index) => {
    const filled = expr.replaceAll("$__rate_interval", "5m").replaceAll(/\$\w+/g, ".*");
    return `  - record: "query:${index}"\n    expr: ${JSON.stringify(filled)}\n`;
  });
  const file = await Deno.makeTempFile({ suffix: ".yml" });
  await Deno.writeTextFile(file, `groups:\n- name: dashboard\n  rules:\n${rules.join("")}`);
  const checked = await promtool(["check", "rules", file]);
  await Deno.remove(file);
  if (checked) assertEquals(checked.code, 0, checked.said);
});

function exprsOf({ panels, annotations }: Dashboard): string[] {
  return [
    ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...annotations.list.map(({ expr }) => expr),
  ];
}

/** What a daemon says of itself after a success and a failure. */
async function aWholeScrape() {
  await using receiver = startRawServer([{}, { status: 503 }]);
  const folder = await Deno.makeTempDir();
  const { storage } = aConfig();
  const subscription = aSubscription({
    url: receiver.url,
    allowHttp: true,
    allowNetworks: ["127.0.0.0/8"],
  });
  const config = aConfig({
    storage: { ...storage, path: `${folder}/bellhook.db` },
    subscriptions: [subscription],
  });
  try {
    await using daemon = await aDaemon(config);
    await daemon.call("POST", "/v1/events", [{ type: "a", data: 1 }, { type: "a", data: 2 }]);
    return await until(async () => {
      const scraped = parseExposition((await daemon.call("GET", "/metrics")).body);
      return scraped.has("bellhook_attempt_failures_total") ? scraped : undefined;
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
