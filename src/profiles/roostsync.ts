import type { RawProfile } from "./raw_profile.ts";

/** RoostSync's webhooks preview. Its retry policy is Bellhook's default retry schedule. */
export const roostsync: RawProfile = {
  description: "RoostSync webhooks",
  body: {
    event: { from: "type" },
    timestamp: { from: "timestamp", as: "iso" },
    data: { from: "data" },
    property_id: { from: "scope.property_id", whenMissing: "refuse" },
  },
  signature: { header: "X-RoostSync-Signature", value: "sha256={signature}" },
  secret: { form: "text", required: true },
  events: [
    "booking.created",
    "booking.updated",
    "booking.cancelled",
    "guest.checkin",
    "guest.checkout",
    "order.created",
    "order.completed",
    "inventory.low",
    "payment.received",
  ],
};
