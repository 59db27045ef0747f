import { scaleFor } from "./scale.ts";
import type { Bar, Statistics } from "./statistics.ts";
import { length } from "./words.ts";

const WIDTH = 1_000, HEIGHT = 60;

/** How long receivers took to answer, over the same time as the bars above. */
export function AnswerTimes(
  { statistics: { bars, title }, saysOf }: {
    readonly statistics: Statistics;
    readonly saysOf: (bar: Bar) => string;
  },
) {
  const slowest = Math.max(0, ...bars.map(({ p95 = 0 }) => p95));
  if (slowest === 0) return null;
  const top = scaleFor(slowest).at(-1)!, width = WIDTH / bars.length;
  return (
    <>
      <h3>
        Answer times <span class="line-p50" title="Half were faster">p50</span>{" "}
        <span class="line-p95" title="One in twenty was slower">p95</span>
      </h3>
      <div class="plot">
        <ol class="scale" aria-hidden="true">
          <li>{length(top)}</li>
          <li>0</li>
        </ol>
        <svg
          class="times"
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          tabindex={0}
          data-chart
          aria-label={`${title}: one answer in twenty took up to ${length(slowest)}`}
        >
          <line class="base" x1="0" x2={WIDTH} y1="0" y2="0" />
          <line class="base" x1="0" x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />
          {bars.map((bar, index) => (
            <g data-says={saysOf(bar)}>
              <title>{saysOf(bar)}</title>
              <rect
                class="hit"
                x={(index * width).toFixed(1)}
                y="0"
                width={width.toFixed(1)}
                height={HEIGHT}
              />
            </g>
          ))}
          {(["p95", "p50"] as const).map((name) => (
            <path
              class={`line-${name}`}
              d={lineOf(bars.map((bar) => bar[name]), top)}
            />
          ))}
        </svg>
      </div>
    </>
  );
}

/** Through the middles of the bars; nothing where there was no answer. */
function lineOf(values: readonly (number | undefined)[], top: number): string {
  const width = WIDTH / values.length;
  return values.map((value, index) => {
    if (value === undefined) return "";
    const x = index * width, y = (HEIGHT * (1 - value / top)).toFixed(1);
    const isAlone = values[index - 1] === undefined;
    // One by itself is a dash as long as its bar.
    return isAlone
      ? `M${x.toFixed(1)} ${y}H${(x + width).toFixed(1)}`
      : `L${(x + width / 2).toFixed(1)} ${y}H${(x + width).toFixed(1)}`;
  }).join("");
}
