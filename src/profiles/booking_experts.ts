import type { RawProfile } from "./raw_profile.ts";

/** Booking Experts' "Setting up webhooks" page. It describes no signature. */
export const bookingExperts: RawProfile = {
  description: "Booking Experts app webhooks",
  body: {
    event: { from: "type" },
    subscription_id: { from: "settings.subscription_id" },
    record: { from: "data" },
    context: { from: "scope.context", oneOf: ["administration", "organization", "global"] },
    context_id: { from: "scope.context_id", nullWhen: { "scope.context": ["global"] } },
    event_metadata: { from: "metadata", whenMissing: "omit" },
  },
  secret: { form: "either", required: false },
  success: "200",
  // "the target URL will be called until a 200 Success response is returned": here for 30 days.
  retry: { waits: ["1m", "5m", "30m", "2h", "24h"], thenEvery: "24h", for: "30d" },
  events: ["*:*", "*|*"],
  admission: [
    { permission: true },
    {
      when: { "scope.context": ["administration"] },
      require: { "scope.administration_status": ["Test", "Production"] },
    },
  ],
  waitForConfirmation: true,
  requiredSettings: ["subscription_id"],
};
