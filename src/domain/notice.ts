import type { Secret } from "./secret.ts";

/** What operators are told of. */
export type NoticeKind =
  | "subscription.failing"
  | "subscription.recovered"
  | "subscription.paused"
  | "delivery.exhausted"
  | "config.rejected";

/** Where notices go; `on` says which kinds. */
export type NoticeChannel =
  & { readonly on: readonly NoticeKind[] }
  & (
    | {
      readonly kind: "webhook";
      readonly url: string;
      readonly secret: Secret;
      /** CIDR ranges that the address guard lets through; left out: public addresses alone. */
      readonly allowNetworks?: readonly string[];
    }
    | {
      readonly kind: "email";
      /** `smtp://user@host:port` or `smtps://…`. */
      readonly smtp: string;
      readonly password?: Secret;
      readonly from: string;
      readonly to: readonly string[];
    }
    | { readonly kind: "command"; readonly command: readonly string[] }
  );
