/** The version this source is; the one place that says so beside `deno.json`. */
export const VERSION = "0.1.0";
