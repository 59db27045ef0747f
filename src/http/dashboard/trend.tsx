import { type Bar, type Statistics, total } from "./statistics.ts";
import { count } from "./words.ts";

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
