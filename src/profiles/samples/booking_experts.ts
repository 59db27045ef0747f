import { compact } from "../../domain/json_text.ts";
import type { Sample } from "./sample.ts";

/** Booking Experts' page shows no payload: these follow its description, one for each context. */
export const BOOKING_EXPERTS: readonly Sample[] = [
  {
    type: "reservation:checked_in",
    scope: compact(
      `{"context": "administration", "context_id": "adm_9", "administration_status": "Production"}`,
    ),
    data: compact(`{
  "id": "12",
  "type": "reservation",
  "attributes": {
    "booking_nr": "BE-2024-0012",
    "state": "checked_in",
    "start_date": "2024-07-05",
    "end_date": "2024-07-12",
    "created_at": "2024-03-01T09:12:44Z"
  }
}`),
  },
  {
    type: "channel|updated",
    scope: compact(`{"context": "organization", "context_id": "org_4"}`),
    data: compact(`{
  "id": "7",
  "type": "channel",
  "attributes": {
    "name": "Vrbo"
  }
}`),
    metadata: compact(`{
  "changes": {
    "name": [
      "HomeAway",
      "Vrbo"
    ]
  }
}`),
  },
  {
    type: "category|prices_updated",
    scope: compact(
      `{"context": "administration", "context_id": "adm_9", "administration_status": "Test"}`,
    ),
    data: compact(`{
  "id": "31",
  "type": "category",
  "attributes": {
    "name": "Chalet, 6 persons"
  }
}`),
    metadata: compact(`{
  "date_ranges": [
    [
      "2024-07-01",
      "2024-07-15"
    ],
    [
      "2024-08-01",
      "2024-09-01"
    ]
  ],
  "original_event": "price_rule|updated",
  "pricing_types": [
    "los_prices",
    "night_prices"
  ]
}`),
  },
  {
    type: "category|availability_updated",
    scope: compact(
      `{"context": "administration", "context_id": "adm_9", "administration_status": "Production"}`,
    ),
    data: compact(`{
  "id": "31",
  "type": "category",
  "attributes": {
    "name": "Chalet, 6 persons"
  }
}`),
    metadata: compact(`{
  "date_ranges": [
    [
      "2024-07-05",
      "2024-07-12"
    ]
  ],
  "original_event": "reservation|created"
}`),
  },
  {
    type: "currency:created",
    scope: compact(`{"context": "global"}`),
    data: compact(`{
  "id": "EUR",
  "type": "currency",
  "attributes": {
    "name": "Euro",
    "symbol": "€"
  }
}`),
  },
];
