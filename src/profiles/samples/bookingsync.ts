import { compact } from "../../domain/json_text.ts";
import type { Sample } from "./sample.ts";

/** The payload on BookingSync's page, with the braces that are missing there. */
export const BOOKINGSYNC: readonly Sample[] = [
  {
    type: "client_created",
    scope: compact(`{"account_id": 1059638630}`),
    data: compact(`{
  "links": {
    "clients.account": "https://www.bookingsync.com/api/v3/accounts/{clients.account}"
  },
  "client": {
    "links": {
      "account": 1059638630
    },
    "id": 995923932,
    "addresses": [],
    "emails": [
      {
        "label": "default",
        "email": "client_5@example.com"
      }
    ],
    "phones": [],
    "created_at": "2017-10-10T11:00:00Z",
    "updated_at": "2017-10-10T11:00:00Z",
    "fullname": "Robt Braun",
    "firstname": "",
    "lastname": "",
    "notes": null,
    "preferred_locale": null,
    "passport": null,
    "company": "",
    "vat_number": ""
  }
}`),
  },
];
