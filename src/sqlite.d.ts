// Missing in the declarations that Deno brings.
import "node:sqlite";

declare module "node:sqlite" {
  interface StatementSync {
    /** Whether rows are arrays of values, and not objects. */
    setReturnArrays(enabled: boolean): void;
  }
}
