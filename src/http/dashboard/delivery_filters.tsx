// deno-lint-ignore-file jsx-key
import { forInput } from "./form_instants.ts";
import { DELIVERIES, deliveriesPath } from "./paths.ts";
import { visible } from "./words.ts";

/** What the address asks for, by the names of the API's query. */
type Asked = Readonly<Record<string, string>>;

/** The states that a list is looked at by. */
const STATES = [
  [undefined, "All"],
  ["pending", "Pending"],
  ["failed", "Failed"],
  ["delivered", "Delivered"],
  ["cancelled", "Cancelled"],
] as const;

/** All other filters, and what a chip calls each. */
const CHIPS: Readonly<Record<string, string>> = {
  q: "text",
  subscription: "subscription",
  type: "event type",
  event: "event id",
  status: "last answer",
  since: "since",
  until: "before",
};

/** Presets by state, a chip for each filter in force, and a form for more of them. */
export function Filters(
  { asked, subscriptions, isOpen }: {
    asked: Asked;
    subscriptions: readonly string[];
    /** Something in it is wrong. */
    isOpen: boolean;
  },
) {
  const { cursor: _, ...filters } = asked;
  const without = (name: string) => deliveriesPath({ ...filters, [name]: undefined });
  return (
    <div class="filtering">
      <nav class="choices" aria-label="State">
        {STATES.map(([state, title]) => (
          <a
            href={deliveriesPath({ ...filters, state })}
            aria-current={asked.state === state ? "true" : undefined}
          >
            {title}
          </a>
        ))}
      </nav>
      {Object.entries(CHIPS).map(([name, title]) => {
        const value = filters[name];
        if (value === undefined) return null;
        return (
          <a class="chip" href={without(name)} title="Take this filter away">
            {title}: {visible(value)} <span aria-hidden="true">×</span>
          </a>
        );
      })}
      <details data-key="filters" open={isOpen}>
        <summary>+ filter</summary>
        <FilterForm filters={filters} subscriptions={subscriptions} />
      </details>
    </div>
  );
}

function FilterForm(
  { filters, subscriptions }: { filters: Asked; subscriptions: readonly string[] },
) {
  return (
    <form class="filters" method="get" action={DELIVERIES} role="search" aria-label="Deliveries">
      {["state", "q", "limit"].map((name) =>
        filters[name] !== undefined && <input type="hidden" name={name} value={filters[name]} />
      )}
      <label>
        Subscription
        <input name="subscription" value={filters.subscription} list="subscription-ids" />
      </label>
      <datalist id="subscription-ids">
        {subscriptions.map((id) => <option value={id}></option>)}
      </datalist>
      <label>
        Event type
        <input name="type" value={filters.type} />
      </label>
      <label>
        Event id
        <input name="event" value={filters.event} />
      </label>
      <label>
        Last answer
        <input
          name="status"
          value={filters.status}
          inputmode="numeric"
          placeholder="503"
          size={5}
        />
      </label>
      <label>
        Since
        <input name="since" type="datetime-local" step="1" value={forInput(filters.since)} />
      </label>
      <label>
        Before
        <input name="until" type="datetime-local" step="1" value={forInput(filters.until)} />
      </label>
      <div class="buttons">
        <button type="submit">Show</button>
      </div>
    </form>
  );
}
