/** So many digits of a node's id are enough for a person, and for the code: 80 bits. */
export const SHORT_ID_DIGITS = 20;

/**
 * Where the directory shows a node. In capital letters where the address allows that: a QR code
 * holds half as many again of those, and hosts and our page take them as small ones.
 */
export function approvalUrlOf(directoryUrl: string, node: string): string {
  const base = directoryUrl.replace(/\/+$/u, '');
  const path = `/n/${node.slice(0, SHORT_ID_DIGITS)}`;
  const isOrigin = new URL(base).pathname === '/';
  return isOrigin ? `${base}${path}`.toUpperCase() : `${base}${path}`;
}
