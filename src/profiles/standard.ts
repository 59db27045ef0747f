import type { RawProfile } from "./raw_profile.ts";

/** Standard Webhooks (https://www.standardwebhooks.com): the default. */
export const standard: RawProfile = {
  description: "Standard Webhooks",
  body: {
    type: { from: "type" },
    timestamp: { from: "timestamp", as: "iso" },
    data: { from: "data" },
  },
  secret: { form: "standard", required: true },
};
