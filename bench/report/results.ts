import { median } from "../load/statistics.ts";
import type { Figures } from "../measures/measure.ts";
import type { SystemName } from "../systems/system.ts";

/** Whose figure it is: a system's, or the bare machine's. */
export type Subject = SystemName | "limits";

/** All runs of every figure, by figure and subject. */
export class Results {
  readonly #runs = new Map<string, Map<Subject, number[]>>();
  readonly #failures: { subject: Subject; measure: string; message: string }[] = [];

  add(subject: Subject, figures: Figures): void {
    for (const [name, value] of Object.entries(figures)) {
      let ofFigure = this.#runs.get(name);
      if (!ofFigure) this.#runs.set(name, ofFigure = new Map());
      const runs = ofFigure.get(subject);
      if (runs) runs.push(value);
      else ofFigure.set(subject, [value]);
    }
  }

  /** A run that could not be finished, or in which something was lost. */
  fail(subject: Subject, measure: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#failures.push({ subject, measure, message });
  }

  get failures(): readonly {
    subject: Subject;
    measure: string;
    message: string;
  }[] {
    return this.#failures;
  }

  runs(figure: string, subject: Subject): readonly number[] {
    return this.#runs.get(figure)?.get(subject) ?? [];
  }

  /** The median of the runs; undefined where there is none. */
  median(figure: string, subject: Subject): number | undefined {
    const runs = this.runs(figure, subject);
    return runs.length === 0 ? undefined : median(runs);
  }

  subjects(): Subject[] {
    return [
      ...new Set(
        [...this.#runs.values()].flatMap((ofFigure) => [...ofFigure.keys()]),
      ),
    ];
  }

  toJSON() {
    return Object.fromEntries(
      [...this.#runs].map(([figure, bySubject]) => [
        figure,
        Object.fromEntries(
          [...bySubject].map((
            [subject, runs],
          ) => [subject, { median: median(runs), runs }]),
        ),
      ]),
    );
  }
}
