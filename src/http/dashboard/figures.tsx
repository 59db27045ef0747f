/** A number that is looked at first. */
export interface Figure {
  readonly value: string;
  readonly what: string;
  /** Where it comes from. */
  readonly href: string;
  readonly isBad?: boolean;
}

/** Large numbers beside each other, each a link to what is behind it. */
export function Figures({ figures }: { figures: readonly Figure[] }) {
  return (
    <ul class="figures" aria-label="In numbers">
      {figures.map(({ value, what, href, isBad }) => (
        <li class={isBad ? "is-failing" : undefined}>
          <a href={href}>
            <strong>{value}</strong> {what}
          </a>
        </li>
      ))}
    </ul>
  );
}
