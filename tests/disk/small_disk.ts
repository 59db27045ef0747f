/** Whether this process may mount a file system of its own; else tests that need it are left out. */
export const canMount: boolean = await tryMounting();

/** What such a test's name says where it is left out. */
export const WITHOUT_MOUNTING = canMount ? "" : " (left out: this user may not mount a small disk)";

/** Mounts a disk of that size, in memory, on a folder. */
export async function mountSmallDisk(folder: string, size: string): Promise<SmallDisk> {
  await run("mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder);
  return {
    setWritable: (isWritable) => run("mount", "-o", `remount,${isWritable ? "rw" : "ro"}`, folder),
    unmount: () => run("umount", folder),
  };
}

export interface SmallDisk {
  /** Only while nobody has a file on it open for writing. */
  setWritable(isWritable: boolean): Promise<void>;
  unmount(): Promise<void>;
}

async function tryMounting(): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  const folder = await Deno.makeTempDir();
  try {
    await (await mountSmallDisk(folder, "1m")).unmount();
    return true;
  } catch {
    return false;
  } finally {
    await Deno.remove(folder);
  }
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) {
    throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
}
