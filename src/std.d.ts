// The standard library comes from npm without its types; these are the functions in use.

declare module "@std/assert" {
  export function assert(condition: unknown, message?: string): asserts condition;
  export function assertEquals<T>(actual: T, expected: NoInfer<T>, message?: string): void;
  export function assertNotEquals<T>(actual: T, expected: NoInfer<T>, message?: string): void;
  export function assertMatch(actual: string, expected: RegExp, message?: string): void;
  export function assertStringIncludes(actual: string, expected: string, message?: string): void;
  export function assertThrows<E extends Error = Error>(
    action: () => unknown,
    // deno-lint-ignore no-explicit-any
    kind?: abstract new (...args: any[]) => E,
    messageIncludes?: string,
    message?: string,
  ): E;
  export function assertRejects<E extends Error = Error>(
    action: () => PromiseLike<unknown>,
    // deno-lint-ignore no-explicit-any
    kind?: abstract new (...args: any[]) => E,
    messageIncludes?: string,
    message?: string,
  ): Promise<E>;
}

declare module "@std/crypto/timing-safe-equal" {
  /** Whether two byte strings are equal, in a time that does not depend on where they differ. */
  export function timingSafeEqual(
    a: ArrayBufferView | ArrayBufferLike,
    b: ArrayBufferView | ArrayBufferLike,
  ): boolean;
}
