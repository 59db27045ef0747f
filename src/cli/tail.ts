import { type Command, Option } from "commander";
import { isInState, type StateFilter } from "../domain/delivery.ts";
import { formatInstant } from "../domain/instant.ts";
import { resultWords } from "../domain/result_words.ts";
import type { Delivery, Health } from "./answers.ts";
import { ApiClient } from "./api_client.ts";
import { conditionCell } from "./condition.ts";
import { noteOf, resultCell, stateCell } from "./delivery_columns.ts";
import { serverSentEvents } from "./event_stream.ts";
import { CommandError, EXIT } from "./exit_code.ts";
import { givenId } from "./given_id.ts";
import { unknownSubscription } from "./none_fit.ts";
import { pauseFor } from "./pause_for.ts";
import type { GlobalOptions, Shell } from "./shell.ts";
import { type Column, printTableRow } from "./table.ts";
import type { Terminal } from "./terminal.ts";

interface TailOptions {
  readonly subscription?: string;
  readonly state?: StateFilter;
}

/** `bellhook tail`: every change of a delivery or a subscription, as it happens. */
export function addTail(program: Command, shell: Shell): void {
  program.command("tail")
    .description("print a line for every change of a delivery or a subscription, as it happens")
    .option("--subscription <id>", "only this one's", givenId)
    .addOption(
      new Option("--state <state>", "only deliveries that come into this state").choices([
        ...["pending", "delivered", "failed", "exhausted", "cancelled"],
      ]),
    )
    .addHelpText("after", EXAMPLES)
    .action(shell.does<TailOptions>(async (options) => {
      using client = await ApiClient.for(options, shell.terminal);
      // One that is added later is followed from then on.
      const unknown = await unknownSubscription(options.subscription, client).catch(() =>
        undefined
      );
      if (unknown !== undefined) shell.say(unknown);
      const stopping = new AbortController();
      const ignore = shell.terminal.onSignal(["SIGINT", "SIGTERM"], () => stopping.abort());
      try {
        await follow({ client, options, shell, stopping });
      } finally {
        ignore();
      }
      return EXIT.done;
    }));
}

interface Tailing {
  readonly client: ApiClient;
  readonly options: TailOptions & GlobalOptions;
  readonly shell: Shell;
  readonly stopping: AbortController;
}

const RECONNECT_AFTER_MS = 2_000;
/** The daemon says something every 15 s; a connection that is silent for longer is dead. */
const SILENT_FOR_MS = 45_000;

/** Prints changes until it is stopped, over as many connections as it takes. */
async function follow(tailing: Tailing): Promise<void> {
  const { shell, stopping: { signal } } = tailing;
  const progress: Progress = { lastEventId: undefined, isConnected: false, wasConnected: false };
  while (!signal.aborted) {
    let why = "the daemon ended it";
    try {
      await connect(progress, tailing);
    } catch (error) {
      if (signal.aborted) return;
      if (!progress.wasConnected || !mayPass(error)) throw error;
      why = (error as Error).message;
    }
    if (signal.aborted) return;
    if (progress.isConnected) shell.say(`the connection broke: ${why}; trying again`);
    progress.isConnected = false;
    await pauseFor(RECONNECT_AFTER_MS, { clock: shell.terminal.clock, signal });
  }
}

interface Progress {
  lastEventId: string | undefined;
  isConnected: boolean;
  wasConnected: boolean;
}

/** Prints the changes of one connection, until it ends, breaks or falls silent. */
async function connect(progress: Progress, tailing: Tailing): Promise<void> {
  const { client, shell, stopping } = tailing;
  const { clock } = shell.terminal;
  const controller = new AbortController();
  let leave = () => controller.abort();
  const onStop = () => leave();
  stopping.signal.addEventListener("abort", onStop);
  let cancelTimer = () => {};
  try {
    const bytes = await client.stream("/v1/stream", {
      controller,
      headers: progress.lastEventId === undefined ? {} : { "last-event-id": progress.lastEventId },
    });
    const reader = bytes.getReader();
    // Not by the signal: fetch forgets it once its request has been collected as garbage.
    leave = () => void reader.cancel().catch(() => {});
    if (stopping.signal.aborted) leave();
    shell.say(progress.wasConnected ? "connected again" : "following; Ctrl-C ends it");
    progress.isConnected = progress.wasConnected = true;
    let isSilent = false;
    const listen = () => {
      cancelTimer();
      cancelTimer = clock.after(SILENT_FOR_MS, () => {
        isSilent = true;
        leave();
      });
    };
    const onId = (id: string) => progress.lastEventId = id;
    for await (const { event, data } of serverSentEvents(piecesOf(reader, listen), onId)) {
      print(event, JSON.parse(data), tailing);
      if (!shell.terminal.hasReader()) stopping.abort();
    }
    if (isSilent) {
      throw new CommandError(EXIT.unreachable, `nothing came for ${SILENT_FOR_MS / 1_000} s`);
    }
  } finally {
    leave();
    cancelTimer();
    stopping.signal.removeEventListener("abort", onStop);
  }
}

/** What a reader reads, telling of each piece that it has come. */
async function* piecesOf(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  onPiece: () => void,
): AsyncGenerator<Uint8Array> {
  for (;;) {
    onPiece();
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/** Whether a later try may work: the daemon is away, or stopping; the connection broke. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof CommandError)) return error instanceof Error;
  return error.exitCode === EXIT.unreachable || error.exitCode === EXIT.failed;
}

type Change =
  | { readonly kind: "delivery" } & Delivery
  | { readonly kind: "subscription"; readonly id: string; readonly health: Health }
  | { readonly kind: "gap" };

function print(kind: string, data: object, { options, shell }: Tailing): void {
  const change = { kind, ...data } as Change;
  if (!isWanted(change, options)) return;
  if (change.kind === "gap") {
    shell.say('changes were missed here; "bellhook deliveries" shows where things stand');
  }
  if (options.json) return shell.print(JSON.stringify(change));
  const { terminal } = shell;
  if (change.kind === "delivery") {
    printTableRow(
      change,
      [...timeColumns(terminal, change.kind), ...deliveryRow(terminal)],
      terminal,
    );
  } else if (change.kind === "subscription") {
    printTableRow(
      change,
      [...timeColumns(terminal, change.kind), ...subscriptionRow(terminal)],
      terminal,
    );
  }
}

/** An event of a kind that this version does not know is nobody's wish. */
function isWanted(change: Change, { subscription, state }: TailOptions): boolean {
  if (change.kind === "gap") return true;
  const about = change.kind === "delivery" ? change.subscription : change.id;
  if (subscription !== undefined && about !== subscription) return false;
  if (change.kind === "delivery") return state === undefined || isInState(change, state);
  return change.kind === "subscription" && state === undefined;
}

/** When it happened, and in a pipe to what kind of thing. */
function timeColumns({ columns, clock }: Terminal, kind: string): Column<unknown>[] {
  const at = formatInstant(clock.wall());
  return columns === undefined
    ? [{ heading: "", cell: () => at }, { heading: "", cell: () => kind }]
    : [{ heading: "", cell: () => ({ text: at.slice(11, 19), colour: "dim" }) }];
}

function deliveryRow(terminal: Terminal): Column<Delivery>[] {
  const columns: Column<Delivery>[] = [
    { heading: "", cell: stateCell },
    { heading: "", cell: ({ subscription }) => subscription, shrinksTo: 6 },
    { heading: "", cell: ({ type }) => type, shrinksTo: 12, dropRank: 1 },
    { heading: "", cell: ({ id }) => id, dropRank: 2 },
    { heading: "", cell: (delivery) => noteOf(delivery, terminal), shrinksTo: 18 },
  ];
  return terminal.columns === undefined
    ? [...columns, { heading: "", cell: (delivery) => resultCell(delivery, terminal) }]
    : columns;
}

type HealthChange = Change & { kind: "subscription" };

/** In a pipe, the columns that a delivery has and this lacks are empty. */
function subscriptionRow({ columns, clock }: Terminal): Column<HealthChange>[] {
  const empty: Column<HealthChange>[] = columns === undefined
    ? [{ heading: "", cell: () => "" }, { heading: "", cell: () => "" }]
    : [];
  return [
    { heading: "", cell: ({ health }) => conditionCell(health) },
    { heading: "", cell: ({ id }) => id, shrinksTo: 6 },
    ...empty,
    {
      heading: "",
      cell: ({ health: { reason, answering, lastResult } }) =>
        reason ??
          (answering === false && lastResult ? resultWords(lastResult, clock.wall()) : ""),
      shrinksTo: 18,
    },
  ];
}

const EXAMPLES = `
Examples:
  $ bellhook tail
  $ bellhook tail --subscription guests --state failed
  $ bellhook tail --json | jq -r 'select(.kind == "delivery") | .type'
`;
