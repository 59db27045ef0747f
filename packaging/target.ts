/** A platform for which Bellhook is built. */
export interface Target {
  /** As in `bellhook-0.1.0-linux-x64`. */
  readonly name: string;
  /** As Deno names it. */
  readonly triple: string;
  /** The npm package that carries Deno's executable for it. */
  readonly denoPackage: string;
}

/** All platforms. */
export const TARGETS: readonly Target[] = [
  {
    name: "linux-x64",
    triple: "x86_64-unknown-linux-gnu",
    denoPackage: "@deno/linux-x64-glibc",
  },
  {
    name: "linux-arm64",
    triple: "aarch64-unknown-linux-gnu",
    denoPackage: "@deno/linux-arm64-glibc",
  },
  { name: "macos-x64", triple: "x86_64-apple-darwin", denoPackage: "@deno/darwin-x64" },
  { name: "macos-arm64", triple: "aarch64-apple-darwin", denoPackage: "@deno/darwin-arm64" },
  { name: "windows-x64", triple: "x86_64-pc-windows-msvc", denoPackage: "@deno/win32-x64" },
];

/** The current platform, if it is one of them. */
export const HERE: Target | undefined = TARGETS.find(({ triple }) => triple === Deno.build.target);

/** Whether its programs end in `.exe`. */
export function isWindows({ triple }: Target): boolean {
  return triple.includes("windows");
}
