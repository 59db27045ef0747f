import type { Command } from "commander";
import { ApiClient } from "./api_client.ts";
import { addEventOptions, type EventOptions, postedText } from "./event_options.ts";
import { EXIT } from "./exit_code.ts";
import type { GlobalOptions, Shell } from "./shell.ts";

/** `bellhook send`: posts an event, or a file of them. */
export function addSend(program: Command, shell: Shell): void {
  const command = program.command("send")
    .description("post an event and print what will be delivered to whom");
  addEventOptions(command, { file: "a file with a whole event or an array of them, or -" })
    .addHelpText("after", EXAMPLES)
    .action(shell.does<EventOptions>(async (options) => {
      const body = await postedText(command.args, options, () => shell.terminal.stdin());
      using client = await ApiClient.for(options, shell.terminal);
      const { status, answer } = await client.post<Receipt | Receipt[]>("/v1/events", body);
      const repeated = status === 200;
      for (const receipt of [answer].flat()) print(receipt, { shell, options, repeated });
      return EXIT.done;
    }));
}

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
`;
