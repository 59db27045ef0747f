import { compact } from "../../domain/json_text.ts";
import type { Sample } from "./sample.ts";

/** One Standard Webhooks event. */
export const STANDARD: readonly Sample[] = [
  {
    type: "booking.created",
    timestamp: "2024-03-15T10:30:00Z",
    data: compact(`{
  "booking_id": "bk_12345",
  "guest_name": "Juan dela Cruz",
  "check_in": "2024-03-20",
  "check_out": "2024-03-22",
  "total": "6000.00",
  "currency": "PHP"
}`),
  },
];
