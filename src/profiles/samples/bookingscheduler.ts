import { compact } from "../../domain/json_text.ts";
import type { Sample } from "./sample.ts";

/** Every payload on BookingScheduler's page. Addresses that the page hides are made up. */
export const BOOKINGSCHEDULER: readonly Sample[] = [
  {
    type: "booking.created",
    timestamp: "2024-01-15T10:00:00Z",
    data: compact(`{
  "id": "book_123",
  "experienceId": "exp_456",
  "experienceName": "City Walking Tour",
  "customerName": "John Doe",
  "customerEmail": "john.doe@example.com",
  "startTime": "2024-02-15T14:00:00Z",
  "participants": 2,
  "status": "CONFIRMED",
  "totalAmount": 9000,
  "currency": "USD"
}`),
  },
  {
    type: "booking.confirmed",
    timestamp: "2024-01-15T10:05:00Z",
    data: compact(`{
  "id": "book_123",
  "status": "CONFIRMED",
  "confirmedAt": "2024-01-15T10:05:00Z"
}`),
  },
  {
    type: "booking.cancelled",
    timestamp: "2024-01-15T10:10:00Z",
    data: compact(`{
  "id": "book_123",
  "status": "CANCELLED",
  "cancelledAt": "2024-01-15T10:10:00Z",
  "reason": "Customer request",
  "refundAmount": 9000,
  "refundStatus": "PENDING"
}`),
  },
  {
    type: "booking.updated",
    timestamp: "2024-01-15T10:15:00Z",
    data: compact(`{
  "id": "book_123",
  "changes": {
    "participants": {
      "old": 2,
      "new": 3
    },
    "totalAmount": {
      "old": 9000,
      "new": 13500
    }
  }
}`),
  },
  {
    type: "payment.succeeded",
    timestamp: "2024-01-15T10:20:00Z",
    data: compact(`{
  "id": "pay_789",
  "bookingId": "book_123",
  "amount": 9000,
  "currency": "USD",
  "method": "card",
  "status": "SUCCEEDED"
}`),
  },
  {
    type: "payment.failed",
    timestamp: "2024-01-15T10:25:00Z",
    data: compact(`{
  "id": "pay_789",
  "bookingId": "book_123",
  "amount": 9000,
  "currency": "USD",
  "status": "FAILED",
  "errorCode": "CARD_DECLINED",
  "errorMessage": "The card was declined"
}`),
  },
  {
    type: "customer.created",
    timestamp: "2024-01-15T10:30:00Z",
    data: compact(`{
  "id": "cust_321",
  "name": "Jane Smith",
  "email": "jane.smith@example.com",
  "phone": "+1234567890",
  "createdAt": "2024-01-15T10:30:00Z"
}`),
  },
];
