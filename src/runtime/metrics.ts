import { setImmediate } from "node:timers";

/**
 * The numbers of a running daemon, in Prometheus' text format 0.0.4. Counting is a look-up and an
 * addition; everything else is paid for by whoever asks for the text.
 */
export class Metrics {
  readonly #families = new Map<string, Family>();

  /** Something that only grows. Its name ends in `_total`. */
  counter(about: About): Counter {
    return this.#add(about, new Counter(about));
  }

  /** How values are spread over buckets. */
  histogram(about: HistogramAbout): Histogram {
    return this.#add(about, new Histogram(about));
  }

  /** Something that goes up and down, read whenever the text is asked for. */
  gauge(about: GaugeAbout): void {
    this.#add(about, new Gauge(about, "gauge"));
  }

  /** Something that only grows, and that somebody else counts. */
  counted(about: GaugeAbout): void {
    this.#add(about, new Gauge(about, "counter"));
  }

  /** Lets go of the series whose first label names what is gone, where that label is the one named. */
  forget(label: string, isKnown: (value: string) => boolean): void {
    for (const family of this.#families.values()) family.forget(label, isKnown);
  }

  /** All of it. What can't be read now is left out. */
  async expose(): Promise<string> {
    // All at once, so that several can share one reading.
    const bodies = await Promise.all(
      [...this.#families.values()].map((family) => family.read().catch(() => [])),
    );
    let text = "";
    for (const [index, [name, { help, type }]] of [...this.#families].entries()) {
      const lines = await spelledOut(bodies[index]!);
      if (lines.length === 0) continue;
      text += `# HELP ${name} ${escapedHelp(help)}\n# TYPE ${name} ${type}\n${lines.join("\n")}\n`;
    }
    return text;
  }

  #add<F extends Family>({ name }: About, family: F): F {
    if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new Error(`"${name}" is no name for a metric`);
    if (this.#families.has(name)) throw new Error(`there is a metric "${name}" already`);
    this.#families.set(name, family);
    return family;
  }
}

/** Turn by turn of the loop, for thousands of subscriptions have some ten lines each. */
async function spelledOut(series: Iterable<string>): Promise<string[]> {
  const lines: string[] = [];
  for (const line of series) {
    lines.push(line);
    if (lines.length % LINES_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return lines;
}

const LINES_A_TURN = 1_000;

/** What one metric is. */
export interface About {
  readonly name: string;
  /** One sentence for whoever finds it in a list. */
  readonly help: string;
  /** The first may take many values; those of the others come from short, closed lists. */
  readonly labels?: readonly string[];
}

/** What a histogram is. */
export interface HistogramAbout extends About {
  /** Upper bounds, rising; what lies above them all is counted too. */
  readonly buckets: readonly number[];
}

/** What is read when somebody asks. */
export interface GaugeAbout extends About {
  /** One number, or one for each set of label values. Where it throws, the metric is left out. */
  readonly read: () => Reading | Promise<Reading>;
}

/** One number, or one for each set of label values, in the order of the labels. */
export type Reading = number | Iterable<readonly [labels: readonly string[], value: number]>;

/** How many series of one metric are kept apart; what comes beyond them is counted as `(other)`. */
export const MAX_SERIES = 50_000;

/** Stands for the first label of all series beyond MAX_SERIES. */
export const OTHER = "(other)";

interface Family {
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Each series as one text, so that its lines are of one moment. */
  read(): Promise<Iterable<string>>;
  forget(label: string, isKnown: (value: string) => boolean): void;
}

/** A sum for each set of label values. */
export class Counter implements Family {
  readonly type = "counter";
  readonly help: string;
  readonly #name: string;
  readonly #series: SeriesMap<{ count: number }>;

  constructor({ name, help, labels = [] }: About) {
    this.#name = name;
    this.help = help;
    this.#series = new SeriesMap(labels, () => ({ count: 0 }));
  }

  /** Adding 0 makes the series known: a rate over its first step shows only then. */
  add(count: number, ...labels: string[]): void {
    this.#series.at(labels).count += count;
  }

  // deno-lint-ignore require-await
  async read(): Promise<Iterable<string>> {
    return this.#lines();
  }

  *#lines(): Iterable<string> {
    for (const { labels, value } of this.#series.all()) yield line(this.#name, labels, value.count);
  }

  forget(label: string, isKnown: (value: string) => boolean): void {
    this.#series.forget(label, isKnown);
  }
}

/** Buckets, a sum and a count for each set of label values. */
export class Histogram implements Family {
  readonly type = "histogram";
  readonly help: string;
  readonly #name: string;
  readonly #bounds: readonly number[];
  readonly #series: SeriesMap<{ counts: Float64Array; sum: number }>;

  constructor({ name, help, labels = [], buckets }: HistogramAbout) {
    this.#name = name;
    this.help = help;
    this.#bounds = buckets;
    const make = () => ({ counts: new Float64Array(buckets.length + 1), sum: 0 });
    this.#series = new SeriesMap(labels, make);
    if (labels.length === 0) this.#series.at([]);
  }

  /** Counts a value, in the unit that the name ends in. */
  observe(value: number, ...labels: string[]): void {
    const series = this.#series.at(labels);
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++;
    series.counts[bucket]!++;
    series.sum += value;
  }

  // deno-lint-ignore require-await
  async read(): Promise<Iterable<string>> {
    return this.#lines();
  }

  *#lines(): Iterable<string> {
    for (const { labels, value: { counts, sum } } of this.#series.all()) {
      const lines: string[] = [];
      const and = labels === "" ? "" : ",";
      let count = 0;
      for (const [index, inBucket] of counts.entries()) {
        count += inBucket;
        const le = spelled(this.#bounds[index] ?? Infinity);
        lines.push(line(`${this.#name}_bucket`, `${labels}${and}le="${le}"`, count));
      }
      lines.push(line(`${this.#name}_sum`, labels, sum));
      lines.push(line(`${this.#name}_count`, labels, count));
      yield lines.join("\n");
    }
  }

  forget(label: string, isKnown: (value: string) => boolean): void {
    this.#series.forget(label, isKnown);
  }
}

class Gauge implements Family {
  readonly help: string;
  readonly #name: string;
  readonly #labels: readonly string[];
  readonly #read: GaugeAbout["read"];

  constructor({ name, help, labels = [], read }: GaugeAbout, readonly type: "gauge" | "counter") {
    this.#name = name;
    this.help = help;
    this.#labels = labels;
    this.#read = read;
  }

  async read(): Promise<Iterable<string>> {
    const reading = await this.#read();
    return typeof reading === "number" ? [line(this.#name, "", reading)] : this.#lines(reading);
  }

  *#lines(reading: Exclude<Reading, number>): Iterable<string> {
    for (const [labels, value] of reading) {
      yield line(this.#name, labelsText(this.#labels, labels), value);
    }
  }

  /** It remembers nothing. */
  forget(): void {}
}

/** The series of one metric, by the values of its labels. */
class SeriesMap<Value> {
  readonly #labels: readonly string[];
  readonly #make: () => Value;
  readonly #byKey = new Map<string, Series<Value>>();

  constructor(labels: readonly string[], make: () => Value) {
    this.#labels = labels;
    this.#make = make;
  }

  at(values: readonly string[]): Value {
    const series = this.#byKey.get(keyOf(values));
    return series ? series.value : this.#open(values);
  }

  all(): Iterable<Series<Value>> {
    return this.#byKey.values();
  }

  forget(label: string, isKnown: (value: string) => boolean): void {
    if (this.#labels[0] !== label) return;
    for (const [key, { first }] of this.#byKey) {
      if (first !== OTHER && !isKnown(first)) this.#byKey.delete(key);
    }
  }

  #open(values: readonly string[]): Value {
    const [first = "", ...rest] = values;
    // Those of OTHER come on top, and are few: the other labels' values are.
    if (this.#byKey.size >= MAX_SERIES && first !== OTHER) return this.at([OTHER, ...rest]);
    const value = this.#make();
    this.#byKey.set(keyOf(values), { first, labels: labelsText(this.#labels, values), value });
    return value;
  }
}

interface Series<Value> {
  /** The first label's value. */
  readonly first: string;
  /** All labels as they are written, without braces. */
  readonly labels: string;
  readonly value: Value;
}

/** Lengths keep the values from running into each other. */
function keyOf(values: readonly string[]): string {
  if (values.length < 2) return values[0] ?? "";
  let key = "";
  for (const value of values) key += `${value.length}:${value}`;
  return key;
}

function line(name: string, labels: string, value: number): string {
  return labels === "" ? `${name} ${spelled(value)}` : `${name}{${labels}} ${spelled(value)}`;
}

function labelsText(names: readonly string[], values: readonly string[]): string {
  return names.map((name, index) => `${name}="${escapedValue(values[index] ?? "")}"`).join(",");
}

/** As Go's ParseFloat takes it. */
function spelled(value: number): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
}

function escapedValue(text: string): string {
  if (!/[\\\n"]/.test(text)) return text;
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function escapedHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
