import { createHash } from "node:crypto";
import dashboardScript from "./dashboard.js" with { type: "text" };
import dashboardStyle from "./dashboard.css" with { type: "text" };
import searchingScript from "./searching.js" with { type: "text" };
import searchingStyle from "./searching.css" with { type: "text" };

/** A file of ours that browsers load; it is part of the program. */
export interface Asset {
  readonly path: string;
  readonly type: string;
  readonly text: string;
}

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<rect width="16" height="16" rx="3.500" fill="#2f5bd8"/>
<path fill="#fff" d="M8 2.500a.8.8 0 0 1 .8.8v.4a3.400 3.400 0 0 1 2.600 3.300v2.400l1 1.400a.5.5 0 0 1-.4.800H4a.5.5 0 0 1-.4-.800l1-1.400V7a3.400 3.400 0 0 1 2.600-3.300v-.4a.8.8 0 0 1 .8-.8zM6.700 12.300h2.600a1.300 1.300 0 0 1-2.600 0z"/>
</svg>`;

const script = dashboardScript + searchingScript, style = dashboardStyle + searchingStyle;

/** Whatever the pages load beside themselves. */
export const ASSETS: readonly Asset[] = [
  { path: "/dashboard.css", type: "text/css; charset=utf-8", text: style },
  { path: "/dashboard.js", type: "text/javascript; charset=utf-8", text: script },
  { path: "/dashboard/icon.svg", type: "image/svg+xml", text: ICON },
];

/** With the content's hash, so that browsers keep it until it changes. */
export const STYLE_PATH = `/dashboard.css?v=${hashOf(style)}`;
export const SCRIPT_PATH = `/dashboard.js?v=${hashOf(script)}`;

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}
