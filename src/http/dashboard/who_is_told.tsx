import { channelText, type NoticeChannel } from "../../domain/notice.ts";
import { CONFIG } from "./paths.ts";
import { visible } from "./words.ts";

/** Who gets notices about a subscription: the channels of the config, and its own contacts. */
export function WhoIsTold(
  { channels, contact = [] }: {
    channels: Iterable<NoticeChannel>;
    contact: readonly string[] | undefined;
  },
) {
  const told = [...channels];
  return (
    <section aria-labelledby="told">
      <h2 id="told">Who is told</h2>
      {told.length + contact.length === 0
        ? (
          <p class="muted">
            Nobody: the <a href={CONFIG}>config</a> has no{" "}
            <code>notify</code>, and this subscription no <code>contact</code>.
          </p>
        )
        : (
          <ul>
            {told.map((channel) => (
              <li key={channelText(channel)}>
                {visible(channelText(channel))}{" "}
                <span class="muted">on {channel.on.join(", ")}</span>
              </li>
            ))}
            {contact.map((address) => (
              <li key={address}>
                {visible(address)} <span class="muted">its contact</span>
              </li>
            ))}
          </ul>
        )}
    </section>
  );
}
