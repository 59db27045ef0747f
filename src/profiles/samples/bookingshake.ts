import { compact } from "../../domain/json_text.ts";
import type { Sample } from "./sample.ts";

/** Every payload on BookingShake's page. Addresses that the page hides are made up. */
export const BOOKINGSHAKE: readonly Sample[] = [
  {
    type: "contact.created",
    timestamp: "2024-11-13T10:30:00Z",
    scope: compact(`{"venue_id": "venue123", "venues_group_id": "group456"}`),
    data: compact(`{
  "id": "contact-456",
  "first_name": "John",
  "last_name": "Doe",
  "email": "john.doe@example.com",
  "phone": "+33612345678",
  "landline_phone": "+33145678901",
  "title": "CEO",
  "account_id": "account-123",
  "optin_marketing": true,
  "address_line_1": "10 rue Example",
  "postal_code": "75001",
  "city": "Paris",
  "country": "France",
  "created_at": 1731493800000
}`),
  },
  {
    type: "contact.updated",
    timestamp: "2024-11-13T10:31:40Z",
    scope: compact(`{"venue_id": "venue123", "venues_group_id": "group456"}`),
    data: compact(`{
  "id": "contact-456",
  "first_name": "John",
  "last_name": "Doe",
  "email": "john.doe@example.com",
  "phone": "+33698765432",
  "landline_phone": "+33145678901",
  "title": "CEO",
  "account_id": "account-123",
  "optin_marketing": true,
  "address_line_1": "10 rue Example",
  "postal_code": "75001",
  "city": "Paris",
  "country": "France",
  "created_at": 1731493800000
}`),
  },
  {
    type: "contact.deleted",
    timestamp: "2024-11-13T10:33:20Z",
    scope: compact(`{"venue_id": "venue123", "venues_group_id": "group456"}`),
    data: compact(`{
  "id": "contact-456"
}`),
  },
  {
    type: "account.created",
    timestamp: "2024-11-13T10:50:00Z",
    scope: compact(`{"venue_id": "venue123", "venues_group_id": "group456"}`),
    data: compact(`{
  "id": "account-123",
  "name": "Acme Corp",
  "legal_name": "ACME CORPORATION SAS",
  "company_type": "SAS",
  "company_registration_id": "123456789",
  "vat_number": "FR12345678901",
  "address_line_1": "123 rue Example",
  "address_line_2": "Batiment A",
  "postal_code": "75001",
  "city": "Paris",
  "country": "France",
  "billing_address_line_1": "123 rue Example",
  "billing_postal_code": "75001",
  "billing_city": "Paris",
  "billing_country": "France",
  "created_at": 1731495000000
}`),
  },
  {
    type: "account.updated",
    timestamp: "2024-11-13T10:51:40Z",
    scope: compact(`{"venue_id": "venue123", "venues_group_id": "group456"}`),
    data: compact(`{
  "id": "account-123",
  "name": "Acme Corporation",
  "legal_name": "ACME CORPORATION SAS",
  "company_type": "SAS",
  "company_registration_id": "123456789",
  "vat_number": "FR98765432101",
  "address_line_1": "123 rue Example",
  "address_line_2": "Batiment A",
  "postal_code": "75001",
  "city": "Paris",
  "country": "France",
  "billing_address_line_1": "123 rue Example",
  "billing_postal_code": "75001",
  "billing_city": "Paris",
  "billing_country": "France",
  "created_at": 1731495000000
}`),
  },
  {
    type: "account.deleted",
    timestamp: "2024-11-13T10:53:20Z",
    scope: compact(`{"venue_id": "venue123", "venues_group_id": "group456"}`),
    data: compact(`{
  "id": "account-123"
}`),
  },
  // From "Custom Fields", where the page shows only part of the body. This venue is in no group.
  {
    type: "contact.created",
    timestamp: "2024-11-13T10:30:00Z",
    scope: compact(`{"venue_id": "venue123"}`),
    data: compact(`{
  "id": "contact-456",
  "first_name": "John",
  "last_name": "Doe",
  "custom_5d07ff93-9b23-4e37-8654-4661fcfd8da8": "VIP Customer",
  "custom_7a12bc34-5de6-4f78-9012-3456789abcde": [
    0,
    1,
    2
  ]
}`),
  },
];
