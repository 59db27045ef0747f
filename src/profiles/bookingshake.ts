import type { RawProfile } from "./raw_profile.ts";

/** BookingShake's webhooks overview. */
export const bookingshake: RawProfile = {
  description: "BookingShake webhooks",
  body: {
    event: { from: "type" },
    timestamp: { from: "timestamp", as: "unixMs" },
    venue_id: { from: "scope.venue_id", whenMissing: "refuse" },
    venues_group_id: { from: "scope.venues_group_id" },
    data: { from: "data" },
  },
  headers: {
    "User-Agent": "Bookingshake-Webhooks/1.0",
    // The page says both "for this delivery attempt" and "to prevent duplicate processing". Only
    // an id that all attempts share can prevent duplicates.
    "Idempotency-Key": "{uuid}",
  },
  signature: { header: "Bookingshake-Signature" },
  secret: { form: "text", required: true },
  timeout: "5s",
  // "up to 10 times with exponential backoff": doubling from 10 s, at most an hour.
  retry: ["10s", "20s", "40s", "80s", "160s", "320s", "640s", "1280s", "2560s", "3600s"],
  events: [
    "account.created",
    "account.updated",
    "account.deleted",
    "contact.created",
    "contact.updated",
    "contact.deleted",
  ],
  // A subscription is for one venue or for a group of venues.
  requiredScope: ["venue_id", "venues_group_id"],
};
