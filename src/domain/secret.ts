/** A value that must not be shown: it prints as `Secret(…)` wherever it goes by accident. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself; call it where bytes are signed or sent, and nowhere else. */
  reveal(): string {
    return this.#value;
  }

  equals(other: Secret | undefined): boolean {
    return other !== undefined && other.#value === this.#value;
  }

  toString(): string {
    return "Secret(…)";
  }

  toJSON(): string {
    return "Secret(…)";
  }

  [Symbol.for("Deno.customInspect")](): string {
    return "Secret(…)";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "Secret(…)";
  }
}
