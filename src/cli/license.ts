/** What one part of a build is licensed under. */
export interface License {
  readonly name: string;
  readonly version: string;
  /** By its SPDX identifier. */
  readonly license: string;
  readonly text: string;
}
