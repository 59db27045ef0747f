/** Round numbers from 0 up to what the highest bar fits under, in at most five equal steps. */
export function scaleFor(highest: number): readonly number[] {
  const least = Math.max(1, highest) / 5;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= least)! * power);
  const steps = Math.max(1, Math.ceil(highest / step));
  return Array.from({ length: steps + 1 }, (_, index) => index * step);
}
