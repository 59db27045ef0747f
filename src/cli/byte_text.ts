const MIB = 1024 * 1024;

/** A size for people: `1,234.5 MiB`. */
export function mib(bytes: number): string {
  return `${(bytes / MIB).toLocaleString("en", { maximumFractionDigits: 1 })} MiB`;
}
