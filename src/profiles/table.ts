import type { Profile } from "../domain/profile.ts";
import { bookingExperts } from "./booking_experts.ts";
import { bookingscheduler } from "./bookingscheduler.ts";
import { bookingshake } from "./bookingshake.ts";
import { bookingsync } from "./bookingsync.ts";
import { roostsync } from "./roostsync.ts";
import { standard } from "./standard.ts";
import { type RawProfile } from "./raw_profile.ts";
import { resolveProfile } from "./resolve_profile.ts";

const RAW_PROFILES: Readonly<Record<string, RawProfile>> = {
  standard,
  bookingsync,
  "booking-experts": bookingExperts,
  bookingshake,
  bookingscheduler,
  roostsync,
};

/** The built-in profiles, by name. */
export const BUILT_IN: ReadonlyMap<string, Profile> = new Map(
  Object.entries(RAW_PROFILES).map(([name, raw]) => [name, resolveProfile(name, raw, undefined)]),
);
