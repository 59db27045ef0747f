import type { RawProfile } from "./raw_profile.ts";

/** BookingScheduler's webhooks page. */
export const bookingscheduler: RawProfile = {
  description: "BookingScheduler webhooks",
  body: {
    event: { from: "type" },
    timestamp: { from: "timestamp", as: "iso" },
    data: { from: "data" },
  },
  // The page's receiver parses the body and verifies the signature of its JSON.stringify output.
  signature: { header: "X-BookingScheduler-Signature", over: "{body:reserialised}" },
  secret: { form: "text", required: true },
  events: [
    "booking.created",
    "booking.confirmed",
    "booking.cancelled",
    "booking.updated",
    "payment.succeeded",
    "payment.failed",
    "customer.created",
  ],
};
