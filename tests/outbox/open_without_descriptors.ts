/** A process that uses up its descriptors, and opens an outbox with each number of free ones from 0 on. */
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";

const path = Deno.args[0]!;
await (await openSqliteOutbox(path)).close();
const taken: Deno.FsFile[] = [];
try {
  for (;;) taken.push(Deno.openSync(path));
} catch {
  // There are none left.
}
for (let answer = ""; answer !== "opened"; taken.pop()!.close()) {
  answer = await openSqliteOutbox(path).then(async (outbox) => {
    await outbox.close();
    return "opened";
  }, ({ message }) => message);
  console.log(answer);
}
Deno.exit();
