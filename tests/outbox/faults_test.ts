import { assert } from "@std/assert";
import { OutboxFailed, OutboxUnavailable } from "../../src/outbox/errors.ts";
import { faultOf, NoRoom } from "../../src/outbox/sqlite/faults.ts";

Deno.test("faultOf(): a write that failed before room was made is excused once", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/bellhook.db`;
  const failedWrite = Object.assign(new Error("disk I/O error"), {
    code: "ERR_SQLITE_ERROR",
    errcode: 778,
    errstr: "disk I/O error",
  });
  assert(faultOf(failedWrite, path) instanceof OutboxFailed);
  const noRoom = new NoRoom("cannot write: a file has reached the largest size");
  const excused = faultOf(failedWrite, path, { before: noRoom });
  assert(excused instanceof OutboxUnavailable && !(excused instanceof NoRoom));
  assert(faultOf(failedWrite, path, { before: excused }) instanceof OutboxFailed);
  const failedRead = Object.assign(new Error("disk I/O error"), { ...failedWrite, errcode: 266 });
  assert(faultOf(failedRead, path, { before: noRoom }) instanceof OutboxFailed);
  await Deno.remove(folder, { recursive: true });
});
