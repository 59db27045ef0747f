import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MAX_SERIES, Metrics, OTHER } from "../../src/runtime/metrics.ts";
import { finished } from "../../src/runtime/turn.ts";
import { parseExposition, valueOf } from "../support/exposition.ts";
import { fc } from "../support/properties.ts";

Deno.test("metrics: the text is the one that Prometheus' documentation shows", async () => {
  const metrics = new Metrics();
  const requests = metrics.counter({
    name: "http_requests_total",
    help: "The total number of\nHTTP requests, by C:\\ and so on.",
    labels: ["method", "code"],
  });
  requests.add(1_027, "post", "200");
  requests.add(3, "post", "400");
  const durations = metrics.histogram({
    name: "http_request_duration_seconds",
    help: "A histogram.",
    buckets: [0.05, 0.1],
  });
  for (const seconds of [0.05, 0.06, 0.1, 7]) durations.observe(seconds);
  metrics.gauge({ name: "temperature_celsius", help: "Now.", read: () => -Infinity });
  assertEquals(
    await textOf(metrics),
    `# HELP http_requests_total The total number of\\nHTTP requests, by C:\\\\ and so on.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027
http_requests_total{method="post",code="400"} 3
# HELP http_request_duration_seconds A histogram.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 1
http_request_duration_seconds_bucket{le="0.1"} 3
http_request_duration_seconds_bucket{le="+Inf"} 4
http_request_duration_seconds_sum 7.21
http_request_duration_seconds_count 4
# HELP temperature_celsius Now.
# TYPE temperature_celsius gauge
temperature_celsius -Inf
`,
  );
});

Deno.test("metrics: whatever stands in a label is read back as it was, and apart from others", async () => {
  const pairs = fc.uniqueArray(
    fc.tuple(fc.string({ unit: "grapheme" }), fc.constantFrom("", "1:", 'a"\n\\', "b")),
    { selector: ([a, b]) => JSON.stringify([a, b]) },
  );
  await fc.assert(fc.asyncProperty(pairs, async (values) => {
    const metrics = new Metrics();
    const counter = metrics.counter({ name: "n_total", help: "N.", labels: ["a", "b"] });
    for (const [index, [a, b]] of values.entries()) counter.add(index + 1, a, b);
    const families = parseExposition(await textOf(metrics));
    for (const [index, [a, b]] of values.entries()) {
      assertEquals(valueOf(families, "n_total", { a, b }), index + 1);
    }
  }));
});

Deno.test("metrics: a histogram counts every value in every bucket that holds it", async () => {
  const bounds = [0.1, 1, 10];
  const values = fc.array(fc.double({ min: 0, max: 20, noNaN: true }));
  await fc.assert(fc.asyncProperty(values, async (observed) => {
    const metrics = new Metrics();
    const histogram = metrics.histogram({ name: "h_seconds", help: "H.", buckets: bounds });
    for (const value of observed) histogram.observe(value);
    const families = parseExposition(await textOf(metrics));
    for (const bound of bounds) {
      const within = observed.filter((value) => value <= bound).length;
      assertEquals(valueOf(families, "h_seconds_bucket", { le: String(bound) }), within);
    }
    assertEquals(valueOf(families, "h_seconds_count"), observed.length);
  }));
});

Deno.test("metrics: beyond so many series the rest is counted as one, by its closed labels", async () => {
  const metrics = new Metrics();
  const counter = metrics.counter({ name: "n_total", help: "N.", labels: ["id", "result"] });
  for (let i = 0; i < MAX_SERIES; i++) counter.add(1, `s${i}`, "success");
  counter.add(2, "one more", "success");
  counter.add(3, "another", "success");
  counter.add(4, "another", "failure");
  counter.add(5, "s7", "success");
  const families = parseExposition(await textOf(metrics));
  assertEquals(valueOf(families, "n_total", { id: OTHER, result: "success" }), 5);
  assertEquals(valueOf(families, "n_total", { id: OTHER, result: "failure" }), 4);
  assertEquals(valueOf(families, "n_total", { id: "s7", result: "success" }), 6);
  assertEquals(families.get("n_total")!.samples.length, MAX_SERIES + 2);
});

Deno.test("metrics: what a label names no more is forgotten, and nothing else", async () => {
  const metrics = new Metrics();
  const counter = metrics.counter({ name: "n_total", help: "N.", labels: ["id", "result"] });
  const other = metrics.counter({ name: "m_total", help: "M.", labels: ["reason"] });
  for (const id of ["gone", "here"]) counter.add(1, id, "success");
  other.add(1, "gone");
  finished(metrics.forget("id", (id) => id === "here"));
  const families = parseExposition(await textOf(metrics));
  assertEquals(families.get("n_total")!.samples.map(({ labels }) => labels.id), ["here"]);
  assertEquals(valueOf(families, "m_total", { reason: "gone" }), 1);
});

Deno.test("metrics: what can't be read now is left out, and takes nothing else along", async () => {
  const metrics = new Metrics();
  metrics.gauge({ name: "broken", help: "B.", read: () => Promise.reject(new Error("closed")) });
  metrics.gauge({
    name: "torn",
    help: "T.",
    read() {
      throw new Error("closed");
    },
  });
  metrics.gauge({ name: "fine", help: "F.", read: () => 1 });
  assertEquals([...parseExposition(await textOf(metrics)).keys()], ["fine"]);
});

Deno.test("metrics: a name stands once, and is one", () => {
  const metrics = new Metrics();
  metrics.counter({ name: "n_total", help: "N." });
  assertThrows(() => metrics.counter({ name: "n_total", help: "N." }), Error, "already");
  assertThrows(() => metrics.counter({ name: "N total", help: "N." }), Error, "no name");
});

Deno.test("exposition: the tests' own parser takes nothing that scrapers refuse", async () => {
  const head = "# HELP a A.\n# TYPE a gauge\n";
  for (
    const text of [
      `${head}a 1`, // no line end
      `${head}b 1\n`, // another metric's sample
      `${head}a 1\na 2\n`, // twice
      `${head}a{b="1"}  1\n`,
      `${head}a{b="1",} 1\n`,
      `${head}a{b="\\t"} 1\n`,
      `${head}a{b="1" 1\n`,
      `${head}a one\n`,
      "# TYPE a gauge\na 1\n", // no help
      '# HELP h H.\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_sum 1\nh_count 2\n', // no +Inf
    ]
  ) {
    await assertRejects(async () => await Promise.resolve(parseExposition(text)), Error, "", text);
  }
});

async function textOf(metrics: Metrics): Promise<string> {
  return (await Array.fromAsync(metrics.expose())).join("");
}
