import { Redactor } from "../domain/redaction.ts";
import type { Secret } from "../domain/secret.ts";
import { noticeText } from "./notice_text.ts";
import type { SendNotice } from "./notice_transport.ts";

/** Slack cuts longer messages off. */
const LONGEST_CHARACTERS = 3_500;

/** Posts a notice to an incoming webhook, as Slack, Mattermost and others have them. */
export const sendToSlack: SendNotice<"slack"> = async ({ url }, request, { http }) => {
  const body = new TextEncoder().encode(slackMessage(new TextDecoder().decode(request.body)));
  const outcome = await http.send({ ...request, url: url.reveal(), body });
  return redactorOf(url).outcome(outcome);
};

/**
 * The JSON of a message. Ids and answers in it come from strangers: formatting is off, and what would
 * mention people or make links is escaped (https://docs.slack.dev/messaging/formatting-message-text).
 */
export function slackMessage(json: string): string {
  const { headline, lines, command } = noticeText(json);
  const text = [headline, ...lines, ...(command === undefined ? [] : [`try: ${command}`])]
    .join("\n");
  const shown = text.length > LONGEST_CHARACTERS ? `${text.slice(0, LONGEST_CHARACTERS)}…` : text;
  return JSON.stringify({
    text: escaped(shown.toWellFormed()),
    mrkdwn: false,
    link_names: false,
    unfurl_links: false,
    unfurl_media: false,
  });
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

const redactors = new WeakMap<Secret, Redactor>();

/** An answer may repeat the URL, or the part of it that is the key. */
function redactorOf(url: Secret): Redactor {
  let redactor = redactors.get(url);
  if (!redactor) {
    const { href, pathname, search } = new URL(url.reveal());
    const parts = pathname.split("/").filter(({ length }) => length >= LEAST_KEY);
    const secrets = [url.reveal(), href, pathname + search, pathname, ...parts];
    redactors.set(
      url,
      redactor = new Redactor(secrets.filter(({ length }) => length >= LEAST_KEY)),
    );
  }
  return redactor;
}

/** What is shorter in a path is no key. */
const LEAST_KEY = 9;
