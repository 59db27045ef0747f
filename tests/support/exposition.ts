/** A parser of Prometheus' text format 0.0.4, as strict as scrapers. */

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Throws an error with the line if a text is invalid. */
export function parseExposition(text: string): Map<string, MetricFamily> {
  if (text === "") return new Map();
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const families = new Map<string, MetricFamily>();
  const series = new Set<string>();
  let help: { name: string; text: string } | undefined;
  let family: MetricFamily | undefined;
  for (const line of text.slice(0, -1).split("\n")) {
    const wrong = (why: string) => new Error(`${why}: ${line}`);
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string];
      if (kind === "HELP") help = { name, text: unescaped(rest) };
      else {
        if (families.has(name)) throw wrong("a metric stands twice");
        if (help?.name !== name) throw wrong("a metric has no help");
        if (!/^(counter|gauge|histogram)$/.test(rest)) throw wrong("no such type");
        family = { name, help: help.text, type: rest, samples: [] };
        families.set(name, family);
      }
      continue;
    }
    const sample = sampleOf(line);
    if (!sample) throw wrong("no sample");
    const base = family?.type === "histogram"
      ? sample.name.replace(/_(bucket|sum|count)$/, "")
      : sample.name;
    if (base !== family?.name) throw wrong("a sample stands outside its metric");
    const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
    if (series.has(key)) throw wrong("a series stands twice");
    series.add(key);
    family.samples.push(sample);
  }
  for (const { type, samples, name } of families.values()) {
    if (type === "histogram") assertCumulative(name, samples);
    if (type === "counter" && samples.some(({ value }) => !(value >= 0))) {
      throw new Error(`${name} counts down`);
    }
  }
  return families;
}

/** The value of the only series with these labels; undefined if there is none. */
export function valueOf(
  families: ReadonlyMap<string, MetricFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ""));
  return family?.samples.find((sample) =>
    sample.name === name &&
    Object.keys(sample.labels).length === Object.keys(labels).length &&
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
  )?.value;
}

function sampleOf(line: string): Sample | undefined {
  const parts = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s.exec(line);
  if (!parts) return undefined;
  const [, name, labelsText = "", number] = parts as unknown as [string, string, string, string];
  const labels: Record<string, string> = {};
  let rest = labelsText;
  while (rest !== "") {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(?:,(?=.)|$)/s.exec(rest);
    if (!label || label[1]! in labels) return undefined;
    labels[label[1]!] = unescaped(label[2]!);
    rest = rest.slice(label[0].length);
  }
  const value = number === "+Inf" ? Infinity : number === "-Inf" ? -Infinity : Number(number);
  return Number.isNaN(value) && number !== "NaN" ? undefined : { name, labels, value };
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, character) => character === "n" ? "\n" : character);
}

function assertCumulative(name: string, samples: readonly Sample[]): void {
  const bySeries = Map.groupBy(
    samples,
    ({ labels: { le: _, ...labels } }) => JSON.stringify(Object.entries(labels).sort()),
  );
  for (const group of bySeries.values()) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => Number(labels.le!.replace("+Inf", "Infinity")));
    const rising = (values: readonly number[]) =>
      values.every((value, index) => index === 0 || value >= values[index - 1]!);
    const count = group.find((sample) => sample.name === `${name}_count`)?.value;
    const fine = rising(bounds) && rising(buckets.map(({ value }) => value)) &&
      bounds.at(-1) === Infinity && buckets.at(-1)?.value === count &&
      group.some((sample) => sample.name === `${name}_sum`);
    if (!fine) throw new Error(`${name} is no whole histogram`);
  }
}
