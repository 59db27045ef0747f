import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { License } from "../src/cli/license.ts";
import { VERSION } from "../src/version.ts";
import { output } from "./run_command.ts";

const HERE = dirname(fileURLToPath(import.meta.url));
const MAIN = join(HERE, "..", "main.ts");

/** The licenses of Bellhook, of Deno, and of every bundled package, sorted by name. */
export async function bundledLicenses(): Promise<License[]> {
  const packages = await bundledPackages();
  return [
    await ownLicense(),
    {
      name: "deno",
      version: Deno.version.deno,
      license: "MIT",
      text: await Deno.readTextFile(join(HERE, "licenses", "deno.txt")),
    },
    ...await Promise.all(packages.map(licenseOf)),
  ];
}

/** The license file of each build. */
export function noticesText(licenses: readonly License[]): string {
  const [own, ...others] = licenses;
  return [
    `${own!.name} ${own!.version} contains the work of others, under these licenses.`,
    "Deno has libraries of its own in it, such as V8 and SQLite; its source lists them.",
    "",
    ...others.flatMap(({ name, version, license, text }) => [
      RULE,
      `${name} ${version} (${license})`,
      RULE,
      "",
      text.trim(),
      "",
    ]),
  ].join("\n");
}

const RULE = "-".repeat(80);

/** The software bill of materials, in CycloneDX 1.6. */
export function billOfMaterials([own, ...others]: readonly License[]): string {
  const component = ({ name, version, license }: License) => ({
    name,
    version,
    "bom-ref": `${name}@${version}`,
    licenses: [{ license: { id: license } }],
  });
  const bill = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { type: "application", ...component(own!) } },
    components: others.map((one) =>
      one.name === "deno" ? { type: "platform", ...component(one) } : {
        type: "library",
        ...component(one),
        purl: `pkg:npm/${one.name.replace("@", "%40")}@${one.version}`,
      }
    ),
    dependencies: [{
      ref: `${own!.name}@${own!.version}`,
      dependsOn: others.map(({ name, version }) => `${name}@${version}`),
    }],
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

async function ownLicense(): Promise<License> {
  const text = await Deno.readTextFile(join(HERE, "..", "LICENSE"));
  return { name: "bellhook", version: VERSION, license: "MIT", text };
}

interface NpmPackage {
  readonly name: string;
  readonly version: string;
  readonly localPath: string;
  readonly dependencies: readonly string[];
}

/** The parts of `deno info --json` that are needed here. */
interface Graph {
  readonly modules: readonly { readonly kind?: string; readonly npmPackage?: string }[];
  readonly npmPackages: Readonly<Record<string, NpmPackage>>;
}

/** The packages that the CLI imports, and their dependencies. */
async function bundledPackages(): Promise<NpmPackage[]> {
  const config = join(HERE, "..", "deno.json");
  const graph: Graph = JSON.parse(
    await output(Deno.execPath(), ["info", "--json", "--config", config, MAIN]),
  );
  const ids = new Set(graph.modules.flatMap(({ npmPackage }) => npmPackage ?? []));
  for (const id of ids) {
    for (const dependency of graph.npmPackages[id]!.dependencies) ids.add(dependency);
  }
  const found = [...ids].map((id) => graph.npmPackages[id]!);
  // Packages with only types leave no code in a bundle.
  return found.filter(({ name }) => !name.startsWith("@types/") && name !== "undici-types")
    .sort((a, b) => a.name < b.name ? -1 : 1);
}

async function licenseOf({ name, version, localPath }: NpmPackage): Promise<License> {
  const { license } = JSON.parse(await Deno.readTextFile(join(localPath, "package.json")));
  if (typeof license !== "string") throw new Error(`${name}@${version} names no license`);
  return { name, version, license, text: await licenseText({ name, version, localPath }) };
}

async function licenseText({ name, version, localPath }: Omit<NpmPackage, "dependencies">) {
  const files = [...Deno.readDirSync(localPath)].map(({ name }) => name)
    .filter((name) => /^(licen[cs]e|copying|notice)([.-]|$)/i.test(name)).sort();
  if (files.length > 0) {
    const texts = files.map((file) => Deno.readTextFile(join(localPath, file)));
    return (await Promise.all(texts)).join("\n");
  }
  const kept = join(HERE, "licenses", `${name.replace("/", "__")}.txt`);
  return await Deno.readTextFile(kept).catch((cause) => {
    throw new Error(
      `${name}@${version} comes without the text of its license; put it into "${kept}"`,
      { cause },
    );
  });
}
