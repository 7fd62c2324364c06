import { fromHex, sha256Hex, toHex, utf8 } from '../lib/bytes.ts';

/**
 * The id of a tenant's network: 32 hex digits of SHA-256 over who made it and what it is called.
 */
export function znetIdOf(tenantId: string, name: string): string {
  return sha256Hex(utf8(`zos-znet\n${tenantId}\n${name}`)).slice(0, 32);
}

/**
 * Unique local IPv6 addresses (RFC 4193 section 3.1) that everybody derives alike from ids:
 * `fd` + 40 bits of the znet's id make the /48, 16 bits of the node's the /64.
 */
export function nodePrefix(znetId: string, nodeId: string): string {
  const subnet = sha256Hex(utf8(`zos-subnet\n${znetId}\n${nodeId}`)).slice(0, 4);
  return `fd${znetId.slice(0, 10)}${subnet}`;
}

/** The node's own address in a znet: interface id 1 of its /64. */
export function nodeAddress(znetId: string, nodeId: string): string {
  return formatIpv6(`${nodePrefix(znetId, nodeId)}0000000000000001`);
}

/** A container's address: 64 bits of SHA-256 as interface id, its first bit set. */
export function containerAddress(znetId: string, nodeId: string, name: string): string {
  const digest = fromHex(sha256Hex(utf8(`zos-host\n${znetId}\n${nodeId}\n${name}`)).slice(0, 16));
  const bytes = Uint8Array.from(digest ?? []);
  // Never 0 or 1, which are the subnet's anycast address (RFC 4291 section 2.6.1) and the node.
  bytes[0] = (bytes[0] ?? 0) | 0x80;
  return formatIpv6(`${nodePrefix(znetId, nodeId)}${toHex(bytes)}`);
}

/** The /64 of a node in a znet, in CIDR notation. */
export function nodeSubnet(znetId: string, nodeId: string): string {
  return `${formatIpv6(`${nodePrefix(znetId, nodeId)}0000000000000000`)}/64`;
}

/** Text of an address from its 32 hex digits, as RFC 5952 section 4 wants it. */
export function formatIpv6(hex: string): string {
  const groups = (hex.match(/.{4}/g) ?? []).map((group) => group.replace(/^0{1,3}/, ''));
  let best = { start: -1, length: 1 };
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === '0') length += 1;
    if (length > best.length) best = { start, length };
  }
  if (best.start < 0) return groups.join(':');
  const head = groups.slice(0, best.start).join(':');
  return `${head}::${groups.slice(best.start + best.length).join(':')}`;
}
