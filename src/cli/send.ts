import { type Command, Option } from "commander";
import { systemRandom } from "../runtime/random.ts";
import { ApiClient } from "./api_client.ts";
import { durationOption } from "./duration_option.ts";
import { addEventOptions, type EventOptions, postedText } from "./event_options.ts";
import { EXIT, NotNowError } from "./exit_code.ts";
import { pauseFor } from "./pause_for.ts";
import type { GlobalOptions, Shell } from "./shell.ts";

interface SendOptions extends EventOptions {
  readonly wait?: number;
}

/** `bellhook send`: posts an event, or a file of them. */
export function addSend(program: Command, shell: Shell): void {
  const command = program.command("send")
    .description("post an event and print what will be delivered to whom");
  addEventOptions(command, { file: "a file with a whole event or an array of them, or -" })
    .addOption(
      new Option(
        "--wait <duration>",
        "try again for so long while no daemon answers, or it answers 429 or 503, as in 30s",
      ).argParser(durationOption),
    )
    .addHelpText("after", EXAMPLES)
    .action(shell.does<SendOptions>(async (options) => {
      const body = await postedText(command.args, options, () => shell.terminal.stdin());
      using client = await ApiClient.for(options, shell.terminal);
      const { status, answer } = options.wait === undefined
        ? await client.post<Receipts>("/v1/events", body)
        : await posted(body, { client, shell, withinMs: options.wait });
      const repeated = status === 200;
      for (const receipt of [answer].flat()) print(receipt, { shell, options, repeated });
      return EXIT.done;
    }));
}

type Receipts = Receipt | readonly Receipt[];

/** Posts until it succeeds or the time is up. The key makes sure that nothing is stored twice. */
async function posted(
  body: string,
  { client, shell, withinMs }: { client: ApiClient; shell: Shell; withinMs: number },
): Promise<{ status: number; answer: Receipts }> {
  const { clock } = shell.terminal;
  const endsAt = clock.monotonicMs() + withinMs;
  const headers = { "idempotency-key": `send-${systemRandom().ulid(clock.wall())}` };
  for (;;) {
    try {
      return await client.post<Receipts>("/v1/events", body, headers);
    } catch (error) {
      if (!(error instanceof NotNowError)) throw error;
      const pauseMs = error.retryAfterMs ?? PAUSE_MS;
      if (clock.monotonicMs() + pauseMs > endsAt) throw error;
      await pauseFor(pauseMs, { clock });
    }
  }
}

const PAUSE_MS = 250;

interface Receipt {
  readonly id: string;
  readonly deliveries: readonly { readonly id: string; readonly subscription: string }[];
}

function print(
  receipt: Receipt,
  { shell, options, repeated }: { shell: Shell; options: GlobalOptions; repeated: boolean },
): void {
  if (options.json) return shell.print(JSON.stringify(receipt));
  shell.print(receipt.id);
  for (const { id, subscription } of receipt.deliveries) shell.print(`  ${id}  ${subscription}`);
  if (repeated) shell.say("known already: nothing new was stored");
  else if (receipt.deliveries.length === 0) shell.say("stored, but no subscription gets it");
}

const EXAMPLES = `
Examples:
  $ bellhook send booking.created --data '{"booking_id": "bk_1"}'
  $ bellhook send booking.created --scope venue_id=v1 account_id=7 --data @booking.json
  $ generate-booking | bellhook send booking.created --id booking-1-created --data -
  $ bellhook send --file events.json
  $ bellhook send booking.created --wait 30s   while the daemon is still starting
`;
