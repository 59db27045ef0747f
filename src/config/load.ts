import { dirname, isAbsolute, join, resolve } from "node:path";
import { parseDuration, parseSize } from "../domain/duration.ts";
import { isEventType, LONGEST_TYPE } from "../domain/event.ts";
import { quoted } from "../domain/quoted.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import { inSlices, type Turn } from "../runtime/turn.ts";
import { parseNetwork } from "../transport/address_guard.ts";
import { readAuth } from "./access.ts";
import type { Config, EventType, Listen, Problem } from "./config.ts";
import {
  type ConfigFiles,
  type IncludedFile,
  includedFiles,
  readInclude,
  systemFiles,
} from "./include.ts";
import { isLocal, parseListen } from "./listen.ts";
import type { ListingOptions } from "./listing.ts";
import type { ConfigMemory, FolderMemory, ReadEntry, UsedSecret } from "./memory.ts";
import { readNotices } from "./notices.ts";
import { type Profiles, readProfiles, unknownProfile } from "./own_profiles.ts";
import { Findings, inOrder } from "./problem.ts";
import { DEFAULTS, type RawConfig, rawConfig, rawIncluded, rawSubscription } from "./schema.ts";
import { reasonOf, SecretReader, type SecretSources } from "./secrets.ts";
import { checkShape, type PartlyValid } from "./shape.ts";
import { type Place, readSource } from "./source.ts";
import { readEntry, type SubscriptionContext, subscriptionsOf } from "./subscriptions.ts";

export { formatProblem } from "./problem.ts";

/** The result of reading a config file: a config, or everything that is wrong with it. */
export type Loaded =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly Problem[] }
  | {
    readonly ok: false;
    readonly problems: readonly Problem[];
    readonly warnings: readonly Problem[];
  };

/** Reads a config file and all files that it includes, checks them, and adds the defaults. */
export async function loadConfig(
  path: string,
  sources: SecretSources,
  { turn, memory }: { readonly turn?: Turn | undefined; readonly memory?: ConfigMemory } = {},
): Promise<Loaded> {
  const file = resolve(path);
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    const message = `the config file cannot be read: ${reasonOf(error)}`;
    const fix = 'name another with "-c FILE", or make one with "bellhook init"';
    return { ok: false, problems: [{ file, path: "", message, fix }], warnings: [] };
  }
  const request = { path: file, text, sources, ...(turn && { turn }), ...(memory && { memory }) };
  return await readConfig(request);
}

/** The text of a config, and the files, secrets and time that it is read with. */
export interface ReadRequest {
  /** The config file's path. Relative paths in the text start in its folder. */
  readonly path: string;
  readonly text: string;
  readonly sources: SecretSources;
  /** For `include`. By default those of this machine. */
  readonly files?: ConfigFiles;
  /** Tells whether a previous secret has expired. By default that of this machine. */
  readonly clock?: Clock;
  /** With it, the config is read in slices: tens of thousands of subscriptions take seconds. */
  readonly turn?: Turn;
  /** What earlier calls have read. Left out by those that read only once. */
  readonly memory?: ConfigMemory;
}

/** Like loadConfig, but for a text. */
export async function readConfig(request: ReadRequest): Promise<Loaded> {
  const path = resolve(request.path);
  const findings = new Findings();
  const { root, problems } = await readSource(path, request.text, request.turn);
  findings.add(...problems);
  // Subscriptions are checked one by one, since all at once they take a lot of memory.
  const value = root?.valueEmptied("subscriptions");
  const raw = root && checkShape({ place: root, schema: rawConfig, value }, findings);
  const config = root && raw && await build({ root, raw, request, findings });
  const warnings = inOrder(findings.warnings, path);
  if (config === undefined || findings.problems.length > 0) {
    return { ok: false, problems: inOrder(findings.problems, path), warnings };
  }
  return { ok: true, config, warnings };
}

/** A config that is being read. */
interface Building {
  readonly root: Place;
  readonly request: ReadRequest;
  readonly findings: Findings;
}

/** The config. It is only complete if no problem was found. */
async function build(
  { root, raw, request, findings }: Building & { readonly raw: PartlyValid<RawConfig> },
): Promise<Config> {
  const directory = dirname(root.file);
  const isReload = request.memory?.isUsed ?? false;
  const secrets = new SecretReader(request.sources, directory, {
    isReload,
    ...(request.memory && { stamp: (path) => stampOf(path, request.files ?? systemFiles) }),
  });
  const delivery = raw.delivery ?? {};
  const profiles = readProfiles(root.at("profiles"), findings);
  checkDefaultProfile(root.at("delivery", "profile"), profiles, findings);
  const eventTypes = root.at("eventTypes").kind === "object"
    ? readEventTypes(root.at("eventTypes"), findings)
    : undefined;
  const declared = eventTypes && new Set(eventTypes.keys());
  const auth = raw.auth &&
    await readAuth(root.at("auth"), raw.auth, { secrets, declared, findings });
  const notify = await readNotices(root.at("notify"), raw.notify ?? [], {
    delivery,
    secrets,
    findings,
  });
  const tenancyKey = raw.tenancy?.key;
  const context = {
    profiles,
    delivery,
    declared,
    ...(tenancyKey !== undefined && { tenancyKey }),
    secrets,
    hasMail: (raw.notify ?? []).some((channel) => channel && "email" in channel),
    now: (request.clock ?? systemClock).wall(),
    findings,
  };
  request.memory?.begin(textsOf(root, ["delivery", "profiles", "eventTypes", "tenancy", "notify"]));
  const reads = await readAll({ root, request, findings }, context);
  const subscriptions = await inSlices(subscriptionsOf(reads, findings), request.turn);
  request.memory?.end();
  return {
    path: root.file,
    server: {
      listen: readListen(root, raw, findings),
      maxBodyBytes: parseSize(raw.server?.maxBody ?? DEFAULTS.maxBody)!,
      shutdownGraceMs: parseDuration(raw.server?.shutdownGrace ?? DEFAULTS.shutdownGrace)!,
      ...readTrustProxy(root, raw, findings),
      socketMode: parseInt(raw.server?.socketMode ?? DEFAULTS.socketMode, 8),
      ...(raw.server?.socketGroup === undefined ? {} : { socketGroup: raw.server.socketGroup }),
      basePath: raw.server?.basePath ?? DEFAULTS.basePath,
    },
    ...(auth && { auth }),
    storage: {
      path: readStorage(root.at("storage", "url"), directory, findings),
      keepDeliveredMs: parseDuration(raw.storage?.keepDelivered ?? DEFAULTS.keepDelivered)!,
      keepExhaustedMs: parseDuration(raw.storage?.keepExhausted ?? DEFAULTS.keepExhausted)!,
    },
    totalConcurrency: delivery.totalConcurrency ?? DEFAULTS.totalConcurrency,
    notify,
    ...(eventTypes && { eventTypes }),
    ...(tenancyKey !== undefined && { tenancy: { key: tenancyKey } }),
    profiles: new Map([...profiles].flatMap(([name, profile]) => profile ? [[name, profile]] : [])),
    subscriptions,
  };
}

function checkDefaultProfile(place: Place, profiles: Profiles, findings: Findings): void {
  const name = place.value();
  if (typeof name !== "string" || name === "" || profiles.has(name)) return;
  findings.add(unknownProfile(name, place, profiles.keys()));
}

function readEventTypes(place: Place, findings: Findings): ReadonlyMap<string, EventType> {
  const types = new Map<string, EventType>();
  for (const [name, at] of place.members()) {
    if (!isEventType(name) || name.includes("*")) {
      findings.add(place.problemAtKey(
        name,
        `${quoted(name)} cannot be an event type`,
        `use 1 to ${LONGEST_TYPE} characters, no "*", white space or control character`,
      ));
    }
    const description = at.at("description").value();
    const example = at.at("example").exists ? at.at("example").tryJson() : undefined;
    if (typeof example === "object") findings.add(example);
    types.set(name, {
      ...(typeof description === "string" && { description }),
      ...(typeof example === "string" && { example }),
    });
  }
  return types;
}

/** The source text of these members, so that every digit counts. */
function textsOf(root: Place, names: readonly string[]): string {
  const texts = names.map((name) => root.at(name)).map((at) => at.exists ? at.tryJson() : "");
  return JSON.stringify([root.file, ...texts]);
}

/** Reads the subscriptions of the file itself, then those of the files that it includes. */
async function readAll(
  { root, request, findings }: Building,
  context: SubscriptionContext,
): Promise<ReadEntry[]> {
  const { turn, memory, files = systemFiles } = request;
  const reads: ReadEntry[] = [];
  for (const place of root.at("subscriptions").eachElement()) {
    const raw = checkShape({ place, schema: rawSubscription }, findings);
    if (raw) reads.push(await readEntry({ place, raw }, context));
    if (turn?.isOver) await turn.rest();
  }
  const how = { turn, isMany: (memory?.size ?? 0) > MANY };
  const included = await includedFiles(root.at("include"), { files, findings, how });
  const including = { memory, files, how, context };
  const unchanged = await unchangedSecrets(including);
  for (const [index, file] of included.entries()) {
    const folder = memory?.folder(file.folder.key, file.folder);
    const known = folder?.known(file.at);
    if (known?.secrets.every((secret) => unchanged.has(secret))) {
      folder!.keep(file.at, known);
      if (known.warnings.length > 0) findings.warn(...known.warnings);
      for (const read of known.reads) reads.push(read);
      if (index % FILES_A_LOOK !== 0) continue;
    } else reads.push(...await readFile(file, { ...including, folder }));
    if (turn?.isOver) await turn.rest();
  }
  return reads;
}

async function stampOf(path: string, files: ConfigFiles): Promise<string | undefined> {
  const how = { turn: undefined, isMany: false };
  return (await files.stamps([path], how)).text(0);
}

/** If there were more files than this the last time, a thread looks at them. */
const MANY = 10_000;

/** How many unchanged files are passed between two looks at the clock. */
const FILES_A_LOOK = 256;

/** What included files are read with. */
interface IncludedContext {
  readonly memory: ConfigMemory | undefined;
  readonly files: ConfigFiles;
  readonly how: ListingOptions;
  readonly context: SubscriptionContext;
}

/** The secrets in memory that are still the same. */
async function unchangedSecrets(
  { memory, files, how, context: { secrets } }: IncludedContext,
): Promise<ReadonlySet<UsedSecret>> {
  const used = [...memory?.secrets ?? []];
  const inFiles = used.filter(({ stamp }) => stamp !== undefined);
  const paths = inFiles.map(({ name }) => secrets.pathOf(name));
  const stamps = await files.stamps(paths, { ...how, isMany: paths.length > MANY });
  const unchanged = new Set(inFiles.filter(({ stamp }, index) => stamps.text(index) === stamp));
  for (const secret of used) {
    if (!unchanged.has(secret) && await secrets.isStill(secret)) unchanged.add(secret);
    if (how.turn?.isOver) await how.turn.rest();
  }
  return unchanged;
}

/** Reads an included file. Remembers the result, unless it has problems or will change with time. */
async function readFile(
  file: IncludedFile,
  { folder, files, how, context }: IncludedContext & { readonly folder: FolderMemory | undefined },
): Promise<ReadEntry[]> {
  const { turn } = how;
  const findings = new Findings();
  const used = new Set<UsedSecret>();
  const secrets = context.secrets.reporting((secret) => void used.add(secret));
  const reads: ReadEntry[] = [];
  for (const place of await readInclude(file, { files, findings, how })) {
    const raw = checkShape({ place, schema: rawIncluded }, findings);
    if (raw) reads.push(await readEntry({ place, raw }, { ...context, secrets, findings }));
    if (turn?.isOver) await turn.rest();
  }
  context.findings.add(...findings.problems);
  context.findings.warn(...findings.warnings);
  const isLasting = findings.problems.length === 0 &&
    reads.every(({ subscription }) => !subscription?.previousSecret);
  const { warnings } = findings;
  const known = { reads, warnings: listOf(warnings), secrets: listOf([...used]) };
  // Its stamp was taken before it was read: the next reload sees what was written in between.
  if (isLasting && folder?.canKeep(file.at)) folder.keep(file.at, known);
  else folder?.note(known);
  return reads;
}

/** All empty lists are the same one, since tens of thousands are kept. */
function listOf<Value>(values: readonly Value[]): readonly Value[] {
  return values.length > 0 ? values : NONE;
}

const NONE: readonly never[] = [];

function readTrustProxy(root: Place, raw: PartlyValid<RawConfig>, findings: Findings) {
  const trustProxy = raw.server?.trustProxy?.filter((one) => one !== undefined) ?? [];
  for (const place of root.at("server", "trustProxy").elements()) {
    if (parseNetwork(String(place.value()))?.bits !== 0) continue;
    findings.warn(place.problem(
      "everybody counts as a proxy, so any client can claim any address",
      "name the addresses of your proxies",
    ));
  }
  return trustProxy.length === 0 ? {} : { trustProxy };
}

function readListen(root: Place, raw: PartlyValid<RawConfig>, findings: Findings): Listen {
  const place = root.at("server", "listen");
  const listen = parseListen(raw.server?.listen ?? DEFAULTS.listen, dirname(root.file));
  if (listen.kind === "fault") {
    findings.add(place.problem(listen.message, listen.fix));
    return parseListen(DEFAULTS.listen, "") as Listen;
  }
  if (!isLocal(listen) && !root.at("auth").exists) {
    findings.add(place.problem(
      'others than this machine could call, and anybody may without "auth"',
      'add "auth", or listen on "127.0.0.1:8420" or a socket',
    ));
  }
  return listen;
}

function readStorage(place: Place, directory: string, findings: Findings): string {
  const url = place.value() ?? DEFAULTS.storageUrl;
  const name = typeof url === "string" && url.startsWith("sqlite:")
    ? url.slice("sqlite:".length).replace(/^\/\/(?=\/)/, "")
    : undefined;
  if (name === undefined || name === "" || name.startsWith("//")) {
    if (typeof url === "string" && url !== "") {
      const fix = 'write it as "sqlite:bellhook.db" or "sqlite:/var/lib/bellhook/bellhook.db"';
      findings.add(place.problem("the text names no SQLite database", fix));
    }
    return "";
  }
  if (name === ":memory:") {
    const message = "nothing in this database outlives the process: a 202 promises nothing";
    findings.warn(place.problem(message, 'name a file, as in "sqlite:bellhook.db"'));
    return name;
  }
  return isAbsolute(name) ? name : join(directory, name);
}
