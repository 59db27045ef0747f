import { run } from "./src/cli/cli.ts";

Deno.exitCode = await run(Deno.args);
