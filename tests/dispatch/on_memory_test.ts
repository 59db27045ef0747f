// The tests of the engine once more, on the outbox in memory.
import { chosen } from "../support/storages.ts";

chosen.isInMemory = true;
for (
  const file of [
    "clock_steps",
    "dispatcher",
    "lag",
    "restarts",
    "retention",
    "scheduler",
    "steering",
  ]
) await import(`./${file}_test.ts`);
