/** Whether an address, in its usual spelling, is one by which only this machine reaches itself. */
export function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
