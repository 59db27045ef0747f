import type * as z from "zod";
import type * as schemas from "../http/schemas.ts";

/** What the daemon answers, as its own schemas have it. */
export type Delivery = z.output<typeof schemas.delivery>;
export type DeliveryWithAttempts = z.output<typeof schemas.deliveryWithAttempts>;
export type Attempt = z.output<typeof schemas.attempt>;
/** How far back a search is. */
export type Searched = z.output<typeof schemas.progress>;
export type Subscription = z.output<typeof schemas.subscription>;
export type Health = z.output<typeof schemas.health>;
export type MatchAnswer = z.output<typeof schemas.matchAnswer>;
export type Replay = z.output<typeof schemas.replay>;
