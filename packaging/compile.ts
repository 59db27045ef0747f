/**
 * Builds the releases into dist/. For each platform there is an executable, if Deno's runtime for it
 * can be downloaded, and an archive that contains Deno. There is also a bill of materials (CycloneDX).
 * Whatever can run here is tested: start, an event, its delivery, SIGTERM, and all of it again.
 *
 *   deno task compile                       for this platform
 *   deno task compile linux-arm64 …         for these platforms; `all` for all
 */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { buildArchive, NoDenoError, unpack } from "./archive.ts";
import { compileBinary } from "./binary.ts";
import { type Bundle, bundle, ROOT } from "./bundle.ts";
import { smokeTest } from "./smoke.ts";
import { VERSION } from "../src/version.ts";
import { HERE, type Target, TARGETS } from "./target.ts";
import { billOfMaterials } from "./third_party.ts";

if (import.meta.main) Deno.exitCode = await compile(Deno.args);

async function compile(names: readonly string[]): Promise<number> {
  const targets = targetsNamed(names);
  if (!targets) {
    const known = TARGETS.map(({ name }) => name).join(", ");
    console.error(`name one or more of ${known}, or all; without a name it is this platform`);
    return 2;
  }
  const dist = join(ROOT, "dist");
  await Deno.mkdir(dist, { recursive: true });
  const staging = await Deno.makeTempDir({ prefix: "bellhook-bundle-" });
  try {
    const bundled = await bundle(staging);
    console.error(bundled.version);
    const bill = join(dist, `bellhook-${VERSION}.cdx.json`);
    await Deno.writeTextFile(bill, billOfMaterials(bundled.licenses));
    await tell(bill);
    let failures = 0;
    for (const target of targets) {
      try {
        await build(bundled, { target, dist });
      } catch (error) {
        if (!(error instanceof NoDenoError)) throw error;
        console.error(`no archive for ${target.name}: ${error.message}`);
        failures++;
      }
    }
    return failures === 0 ? 0 : 1;
  } finally {
    await Deno.remove(staging, { recursive: true });
  }
}

function targetsNamed(names: readonly string[]): readonly Target[] | undefined {
  if (names.length === 0) return HERE && [HERE];
  if (names.length === 1 && names[0] === "all") return TARGETS;
  const found = names.map((name) => TARGETS.find((target) => target.name === name));
  return found.every((target) => target !== undefined) ? found : undefined;
}

async function build(
  bundled: Bundle,
  { target, dist }: { target: Target; dist: string },
): Promise<void> {
  const compiled = await compileBinary({ bundle: bundled, target, folder: dist });
  if (compiled.kind === "written") {
    await tell(compiled.path);
    await tryOut(compiled.path, { bundled, target });
  } else {
    console.error(
      `no single file for ${target.name}: "deno compile" could not fetch its runtime\n` +
        `  ${compiled.reason}\n` +
        "  try again where that host can be reached; the archive does without it",
    );
  }
  const archive = await buildArchive({ bundle: bundled, target, folder: dist });
  await tell(archive);
  await tryOut(archive, { bundled, target });
}

/** Tests a build, and removes it if it doesn't work. */
async function tryOut(
  path: string,
  { bundled, target }: { bundled: Bundle; target: Target },
): Promise<void> {
  if (target !== HERE) return console.error(`  not run: it is for ${target.name}`);
  try {
    await using unpacked = path.endsWith(".gz") ? await unpack(path) : undefined;
    await smokeTest(unpacked?.program ?? path, bundled.version);
  } catch (error) {
    await Deno.remove(path).catch(() => {});
    throw new Error(`"${path}" does not work, and is removed: ${(error as Error).message}`);
  }
  console.error("  run: it started, delivered an event, stopped at SIGTERM, and did so again");
}

/** Prints a file's checksum in the format of `sha256sum`. */
async function tell(path: string): Promise<void> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  console.log(`${hash.digest("hex")}  ${basename(path)}`);
}
