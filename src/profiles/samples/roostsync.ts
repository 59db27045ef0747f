import { compact } from "../../domain/json_text.ts";
import type { Sample } from "./sample.ts";

/** The payload on RoostSync's page. */
export const ROOSTSYNC: readonly Sample[] = [
  {
    type: "booking.created",
    timestamp: "2024-03-15T10:30:00Z",
    scope: compact(`{"property_id": "prop_abc123"}`),
    data: compact(`{
  "booking_id": "bk_12345",
  "guest_name": "Juan dela Cruz",
  "room": {
    "id": "rm_101",
    "name": "Room 101 - Deluxe"
  },
  "check_in": "2024-03-20",
  "check_out": "2024-03-22",
  "nights": 2,
  "total": 6000,
  "source": "direct",
  "status": "confirmed"
}`),
  },
];
