// deno-lint-ignore-file jsx-key
import { formatInstant, type Instant } from "../../domain/instant.ts";
import { AnswerTimes } from "./answer_times.tsx";
import { Cell, Row, Table } from "./parts.tsx";
import { scaleFor } from "./scale.ts";
import { withQuery } from "./paths.ts";
import { type Bar, type SpanName, SPANS, type Statistics, total } from "./statistics.ts";
import { count, counted, length, percent } from "./words.ts";

/** What a bar is made of, from the bottom up. */
const KINDS = ["delivered", "retrying", "failed"] as const;

type Kind = (typeof KINDS)[number];

/** What the address asks of a chart. */
export interface ChartChoice {
  readonly span: SpanName;
  /** The kinds that are drawn. */
  readonly kinds: readonly Kind[];
}

/** Reads a chart's choice from the address; what makes no sense there is the preset. */
export function chartChoice(
  { span, show }: { readonly span?: string; readonly show?: string },
  spans: readonly SpanName[],
): ChartChoice {
  const kinds = KINDS.filter((kind) => show?.split(",").includes(kind));
  return {
    span: spans.find((name) => name === span) ?? "day",
    kinds: kinds.length === 0 ? KINDS : kinds,
  };
}

const WIDTH = 1_000, HEIGHT = 200;

/** A span of the past as stacked bars with a scale, what they add up to, and the numbers as a table. */
export function Chart(
  { statistics, choice, spans, path }: {
    statistics: Statistics;
    choice: ChartChoice;
    /** The spans to choose from. */
    spans: readonly SpanName[];
    /** The page that it stands on. */
    path: string;
  },
) {
  const { title, bars, barMs } = statistics;
  const shown = bars.map((bar) => keep(bar, choice.kinds));
  const scale = scaleFor(Math.max(...shown.map(total)));
  const link = (query: Readonly<Record<string, string | undefined>>) =>
    `${withQuery(path, query)}#chart`;
  return (
    <section class="chart" id="chart" aria-labelledby="chart-title">
      <div class="heading">
        <h2 id="chart-title">Deliveries over time</h2>
        <nav class="choices" aria-label="Time span">
          {spans.map((span) => (
            <a
              href={link({ span, show: showOf(choice.kinds) })}
              aria-current={span === choice.span ? "true" : undefined}
            >
              {SPANS[span].short}
            </a>
          ))}
        </nav>
      </div>
      <div class="plot">
        <ol class="scale" aria-hidden="true">
          {scale.toReversed().map((value) => <li>{count(value)}</li>)}
        </ol>
        <Bars bars={shown} top={scale.at(-1)!} steps={scale.length - 1} {...{ title, barMs }} />
      </div>
      <AnswerTimes statistics={statistics} saysOf={(bar) => saysOf(bar, barMs)} />
      <p class="axis" aria-hidden="true">
        {marksOn(statistics).map((mark) => <span>{mark}</span>)}
        <span>now</span>
      </p>
      <p class="says" data-chart-says role="status">
        {counted(Math.max(...shown.map(total)), "attempt")} at the peak, in {length(barMs)}
      </p>
      <Legend
        statistics={statistics}
        choice={choice}
        hrefOf={(kinds) => link({ span: choice.span, show: showOf(kinds) })}
      />
      <details data-key="chart-table">
        <summary>As a table</summary>
        <BarsTable bars={bars} label={`${title}, in numbers`} />
      </details>
    </section>
  );
}

function keep(bar: Bar, kinds: readonly Kind[]): Bar {
  const of = (kind: Kind) => kinds.includes(kind) ? bar[kind] : 0;
  return {
    ...bar,
    delivered: of("delivered"),
    retrying: of("retrying"),
    failed: of("failed"),
  };
}

function showOf(kinds: readonly Kind[]): string | undefined {
  return kinds.length === KINDS.length ? undefined : kinds.join(",");
}

function Bars(
  { bars, top, steps, title, barMs }: {
    bars: readonly Bar[];
    top: number;
    steps: number;
    title: string;
    barMs: number;
  },
) {
  const width = WIDTH / bars.length;
  const [delivered, retrying, failed] = KINDS.map((kind) => bars.reduce((n, b) => n + b[kind], 0));
  return (
    <svg
      class="bars"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      tabindex={0}
      data-chart
      aria-label={`${title}: ${count(delivered!)} delivered, ${
        counted(retrying!, "attempt")
      } to be retried, ${count(failed!)} failed for good`}
    >
      {Array.from(
        { length: steps + 1 },
        (_, index) => (
          <line class="base" x1="0" x2={WIDTH} y1={line(index, steps)} y2={line(index, steps)} />
        ),
      )}
      {bars.map((bar, index) => {
        const says = saysOf(bar, barMs);
        const x = index * width;
        return (
          <g data-says={says}>
            <title>{says}</title>
            <rect class="hit" x={x.toFixed(1)} y="0" width={width.toFixed(1)} height={HEIGHT} />
            {stackOf(bar, top).map(({ kind, y, height }) => (
              <rect
                class={`is-${kind}`}
                x={(x + width * 0.1).toFixed(1)}
                y={y.toFixed(1)}
                width={(width * 0.8).toFixed(1)}
                height={height.toFixed(1)}
              />
            ))}
          </g>
        );
      })}
    </svg>
  );
}

function line(index: number, steps: number): string {
  return (HEIGHT * (1 - index / steps)).toFixed(1);
}

function stackOf(bar: Bar, top: number) {
  let y = HEIGHT;
  return KINDS.filter((kind) => bar[kind] > 0).map((kind) => {
    // A small number stays visible beside a large one.
    const height = Math.max(2, HEIGHT * bar[kind] / top);
    y = Math.max(0, y - height);
    return { kind, y, height };
  });
}

function saysOf(bar: Bar, barMs: number): string {
  const numbers = KINDS.map((kind) => `${count(bar[kind])} ${kind}`).join(", ");
  const { p50, p95 } = bar;
  const times = p50 === undefined || p95 === undefined
    ? ""
    : `; answers p50 ${length(p50)}, p95 ${length(p95)}`;
  return `${instantText(bar.startsAt, barMs)}: ${numbers}${times}`;
}

/** As much of an instant as tells bars of that length apart. */
function instantText(at: Instant, barMs: number): string {
  const text = formatInstant(at);
  return barMs >= 24 * 3_600_000 ? text.slice(0, 10) : text.slice(0, 16).replace("T", " ");
}

/** Where the axis is marked: at the beginning of each quarter. */
function marksOn({ bars, barMs }: Statistics): string[] {
  return [0, 0.25, 0.5, 0.75].map((part) => {
    const { startsAt } = bars[Math.floor(part * bars.length)]!;
    const text = formatInstant(startsAt);
    return barMs < 6 * 3_600_000 ? text.slice(11, 16) : text.slice(5, 10);
  });
}

/** What is drawn, in numbers; each kind is a link that draws it alone, or all again. */
function Legend(
  { statistics, choice: { kinds }, hrefOf }: {
    statistics: Statistics;
    choice: ChartChoice;
    hrefOf: (kinds: readonly Kind[]) => string;
  },
) {
  const { firstAttempts, firstSuccesses, p50, p95 } = statistics;
  return (
    <div class="legend">
      <ul>
        {KINDS.map((kind) => {
          const isAlone = kinds.length === 1 && kinds[0] === kind;
          return (
            <li class={`is-${kind}${kinds.includes(kind) ? "" : " is-off"}`}>
              <a
                href={hrefOf(isAlone ? KINDS : [kind])}
                title={isAlone ? "Show all kinds" : `Show only ${kind}`}
              >
                {count(statistics[kind])} {kind}
              </a>
            </li>
          );
        })}
      </ul>
      <dl>
        <div>
          <dt>First try</dt>
          <dd>{percent(firstSuccesses, firstAttempts) ?? "–"}</dd>
        </div>
        <div>
          <dt>Answers p50</dt>
          <dd>{timeText(p50)}</dd>
        </div>
        <div>
          <dt>p95</dt>
          <dd>{timeText(p95)}</dd>
        </div>
      </dl>
    </div>
  );
}

function timeText(ms: number | undefined): string {
  return ms === undefined ? "–" : length(ms);
}

function BarsTable({ bars, label }: { bars: readonly Bar[]; label: string }) {
  const some = bars.filter((bar) => total(bar) > 0).toReversed();
  if (some.length === 0) return <p class="muted">Nothing was attempted.</p>;
  return (
    <Table label={label} columns={["From", "Delivered", "Retrying", "Failed", "p50", "p95"]}>
      {some.map((bar) => (
        <Row>
          <Cell label="From">{formatInstant(bar.startsAt)}</Cell>
          <Cell label="Delivered" kind="number">{count(bar.delivered)}</Cell>
          <Cell label="Retrying" kind="number">{count(bar.retrying)}</Cell>
          <Cell label="Failed" kind="number">{count(bar.failed)}</Cell>
          <Cell label="p50" kind="number">{timeText(bar.p50)}</Cell>
          <Cell label="p95" kind="number">{timeText(bar.p95)}</Cell>
        </Row>
      ))}
    </Table>
  );
}
