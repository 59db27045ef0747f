import type { Steps, Turn } from "./turn.ts";

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
  *forget(label: string, isKnown: (value: string) => boolean): Steps<void> {
    for (const family of this.#families.values()) yield* family.forget(label, isKnown);
  }

  /** All of it, piece by piece, for it may be tens of megabytes. What can't be read now is left out. */
  async *expose(turn?: Turn): AsyncGenerator<string> {
    // All at once, so that several can share one reading.
    const bodies = await Promise.all(
      [...this.#families.values()].map((family) => family.read().catch(() => [])),
    );
    let piece = "";
    for (const [index, [name, { help, type }]] of [...this.#families].entries()) {
      let head = `# HELP ${name} ${escapedHelp(help)}\n# TYPE ${name} ${type}\n`;
      for (const lines of bodies[index]!) {
        piece += `${head}${lines}\n`;
        head = "";
        if (piece.length < PIECE_LENGTH) continue;
        yield piece;
        piece = "";
        // Thousands of subscriptions have some ten lines each.
        if (turn?.isOver) await turn.rest();
      }
    }
    if (piece !== "") yield piece;
  }

  #add<F extends Family>({ name }: About, family: F): F {
    if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new Error(`"${name}" is no name for a metric`);
    if (this.#families.has(name)) throw new Error(`there is a metric "${name}" already`);
    this.#families.set(name, family);
    return family;
  }
}

/** Some hundred lines. */
const PIECE_LENGTH = 16 * 1024;

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
  forget(label: string, isKnown: (value: string) => boolean): Steps<void>;
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

  forget(label: string, isKnown: (value: string) => boolean): Steps<void> {
    return this.#series.forget(label, isKnown);
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

  forget(label: string, isKnown: (value: string) => boolean): Steps<void> {
    return this.#series.forget(label, isKnown);
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
  *forget(): Steps<void> {}
}

/**
 * The series of one metric: by the value of the first label, which may be tens of thousands, then by
 * those of the others, which are few. No text is made or kept for a series before somebody asks.
 */
class SeriesMap<Value> {
  readonly #labels: readonly string[];
  readonly #make: () => Value;
  readonly #byFirst = new Map<string, (Value | undefined)[]>();
  /** What the others' values come to, and where it stands in each list of #byFirst. */
  readonly #others: (readonly string[])[] = [];
  readonly #placeOf = new Map<string, number>();
  #size = 0;

  constructor(labels: readonly string[], make: () => Value) {
    this.#labels = labels;
    this.#make = make;
  }

  at(values: readonly string[]): Value {
    const place = this.#placeOf.get(keyOfOthers(values));
    const known = place === undefined ? undefined : this.#byFirst.get(values[0] ?? "")?.[place];
    return known ?? this.#open(values);
  }

  *all(): Iterable<Series<Value>> {
    for (const [first, list] of this.#byFirst) {
      for (const [place, value] of list.entries()) {
        if (value === undefined) continue;
        yield { labels: labelsText(this.#labels, [first, ...this.#others[place]!]), value };
      }
    }
  }

  *forget(label: string, isKnown: (value: string) => boolean): Steps<void> {
    if (this.#labels[0] !== label) return;
    let looked = 0;
    for (const [first, list] of this.#byFirst) {
      if (++looked % SERIES_A_STEP === 0) yield;
      if (first === OTHER || isKnown(first)) continue;
      this.#byFirst.delete(first);
      this.#size -= list.filter((value) => value !== undefined).length;
    }
  }

  #open(values: readonly string[]): Value {
    const [first = "", ...others] = values;
    // Those of OTHER come on top, and are few: the other labels' values are.
    if (this.#size >= MAX_SERIES && first !== OTHER) return this.at([OTHER, ...others]);
    const key = keyOfOthers(values);
    let place = this.#placeOf.get(key);
    if (place === undefined) {
      place = this.#others.push(others) - 1;
      this.#placeOf.set(key, place);
    }
    let list = this.#byFirst.get(first);
    if (list === undefined || list.length <= place) {
      // Made as long as it has to be: an array that grows makes room for sixteen more.
      list = this.#others.map((_, at) => list?.[at]);
      this.#byFirst.set(first, list);
    }
    this.#size++;
    return list[place] = this.#make();
  }
}

const SERIES_A_STEP = 256;

interface Series<Value> {
  /** All labels as they are written, without braces. */
  readonly labels: string;
  readonly value: Value;
}

/** Of all values but the first; lengths keep them from running into each other. */
function keyOfOthers(values: readonly string[]): string {
  if (values.length < 3) return values[1] ?? "";
  return values.slice(1).map((value) => `${value.length}:${value}`).join("");
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
