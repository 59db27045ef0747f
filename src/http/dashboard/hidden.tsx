import type { Viewer } from "./viewer.ts";

/** What every form brings along beside its own fields. */
export function Hidden({ viewer, back = viewer.here }: { viewer: Viewer; back?: string }) {
  return (
    <>
      <input type="hidden" name="csrf" value={viewer.csrf} />
      <input type="hidden" name="back" value={back} />
    </>
  );
}
