import { formatInstant, type Instant } from "../../domain/instant.ts";
import { Cell, Row, Table } from "./parts.tsx";
import type { Bar, Statistics } from "./statistics.ts";
import { count, counted, length, percent } from "./words.ts";

/** From the bottom up. */
const STACK = ["delivered", "retrying", "failed"] as const;

const WIDTH = 300, HEIGHT = 80;

/** A span of the past: stacked bars, what they add up to, and the same numbers as a table. */
export function StatisticsCard({ statistics }: { statistics: Statistics }) {
  const { name, title, bars, barMs, since, delivered, retrying, failed } = statistics;
  const { firstAttempts, firstSuccesses, p50, p95 } = statistics;
  return (
    <section class="card" aria-labelledby={`span-${name}`}>
      <h3 id={`span-${name}`}>{title}</h3>
      <Bars
        bars={bars}
        label={`${title}: ${count(delivered)} delivered, ${
          counted(retrying, "attempt")
        } to be repeated, ${count(failed)} failed for good`}
      />
      <p class="axis" aria-hidden="true">
        <span>{shortInstant(since, barMs)}</span>
        <span>{highest(bars)} at the most</span>
        <span>now</span>
      </p>
      <ul class="legend">
        <li class="is-delivered">{count(delivered)} delivered</li>
        <li class="is-retrying">{count(retrying)} retrying</li>
        <li class="is-failed">{count(failed)} failed</li>
      </ul>
      <dl class="numbers">
        <div>
          <dt>First try</dt>
          <dd>{percent(firstSuccesses, firstAttempts) ?? "–"}</dd>
        </div>
        <div>
          <dt>p50</dt>
          <dd>{p50 === undefined ? "–" : length(p50)}</dd>
        </div>
        <div>
          <dt>p95</dt>
          <dd>{p95 === undefined ? "–" : length(p95)}</dd>
        </div>
      </dl>
      <details data-key={`table-${name}`}>
        <summary>As a table</summary>
        <BarsTable bars={bars} label={`${title}, in numbers`} />
      </details>
    </section>
  );
}

function Bars({ bars, label }: { bars: readonly Bar[]; label: string }) {
  const top = Math.max(1, ...bars.map(total));
  const step = WIDTH / bars.length;
  return (
    <svg
      class="bars"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {bars.flatMap((bar, index) => {
        let y = HEIGHT;
        return STACK.filter((name) => bar[name] > 0).map((name) => {
          // What is there is seen, however little it is beside the rest.
          const height = Math.max(1, HEIGHT * bar[name] / top);
          y -= height;
          return (
            <rect
              class={`is-${name}`}
              x={(index * step + 0.5).toFixed(1)}
              y={Math.max(0, y).toFixed(1)}
              width={(step - 1).toFixed(1)}
              height={height.toFixed(1)}
            >
              <title>{`${formatInstant(bar.startsAt)}: ${count(bar[name])} ${name}`}</title>
            </rect>
          );
        });
      })}
      <line class="base" x1="0" x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />
    </svg>
  );
}

function BarsTable({ bars, label }: { bars: readonly Bar[]; label: string }) {
  const some = bars.filter((bar) => total(bar) > 0).reverse();
  if (some.length === 0) return <p class="muted">Nothing was attempted.</p>;
  return (
    <Table label={label} columns={["From", "Delivered", "Retrying", "Failed"]}>
      {some.map((bar) => (
        <Row>
          <Cell label="From">{formatInstant(bar.startsAt)}</Cell>
          <Cell label="Delivered" kind="number">{count(bar.delivered)}</Cell>
          <Cell label="Retrying" kind="number">{count(bar.retrying)}</Cell>
          <Cell label="Failed" kind="number">{count(bar.failed)}</Cell>
        </Row>
      ))}
    </Table>
  );
}

/** A day in the height of a line: what was delivered, and on it what was not. */
export function Trend({ statistics }: { statistics: Statistics }) {
  const { bars, delivered, retrying, failed } = statistics;
  if (delivered + retrying + failed === 0) return <span class="muted">quiet</span>;
  const top = Math.max(...bars.map(total));
  const label = `${count(delivered)} delivered, ${count(retrying)} retrying, ${
    count(failed)
  } failed in the last day`;
  return (
    <svg class="trend" viewBox="0 0 96 20" width="96" height="20" role="img" aria-label={label}>
      <title>{label}</title>
      <path class="is-delivered" d={trendPath(bars, top, (bar) => [0, bar.delivered])} />
      <path
        class="is-retrying"
        d={trendPath(bars, top, (bar) => [bar.delivered, bar.delivered + bar.retrying])}
      />
      <path
        class="is-failed"
        d={trendPath(bars, top, (bar) => [bar.delivered + bar.retrying, total(bar)])}
      />
    </svg>
  );
}

/** One path for all bars of a colour: a page has hundreds of these. */
function trendPath(
  bars: readonly Bar[],
  top: number,
  range: (bar: Bar) => readonly [from: number, to: number],
): string {
  const step = 96 / bars.length;
  return bars.map((bar, index) => {
    const [from, to] = range(bar);
    if (from === to) return "";
    const bottom = 20 - 20 * from / top;
    const height = Math.max(1, 20 * (to - from) / top);
    return `M${(index * step).toFixed(1)} ${bottom.toFixed(1)}v-${height.toFixed(1)}h${
      (step - 1).toFixed(1)
    }v${height.toFixed(1)}z`;
  }).join("");
}

function total({ delivered, retrying, failed }: Bar): number {
  return delivered + retrying + failed;
}

function highest(bars: readonly Bar[]): string {
  return count(Math.max(...bars.map(total)));
}

function shortInstant(at: Instant, barMs: number): string {
  const text = formatInstant(at);
  return barMs < 6 * 3_600_000 ? text.slice(11, 16) : text.slice(0, 10);
}
