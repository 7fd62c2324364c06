/**
 * The host's rules: nothing comes in but answers, the neighbours' IPv6 messages without which there
 * is no IPv6 (RFC 4890 section 4.4), and WireGuard, which is silent to strangers; nothing is passed
 * on. The table is replaced as a whole, in one transaction; the ports are a set of their own, which
 * is filled as tenants' networks come and go.
 */
export const FIREWALL = { family: 'inet', table: 'zos' } as const;

/** The set of UDP ports that tenants' tunnels listen on. */
export const TUNNEL_PORTS = { ...FIREWALL, name: 'tunnel_ports' } as const;

/** Rules for `nft -f -` that make the host's firewall what it has to be; safe to load again. */
export function hostRules(tunnelPorts: readonly number[] = []): string {
  const ports = [...tunnelPorts].sort((a, b) => a - b);
  const elements = ports.length === 0 ? '' : `\n    elements = { ${ports.join(', ')} }`;
  return `table inet zos
delete table inet zos
table inet zos {
  set tunnel_ports {
    type inet_service${elements}
  }
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    ct state established,related accept
    ct state invalid drop
    ip6 hoplimit 255 icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
    ip6 hoplimit 255 icmpv6 type nd-neighbor-advert accept
    icmpv6 type { mld-listener-query } ip6 saddr fe80::/10 accept
    icmpv6 type { packet-too-big, time-exceeded, parameter-problem, destination-unreachable } accept
    udp sport 67 udp dport 68 accept
    ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
    udp dport @tunnel_ports accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
  }
  chain output {
    type filter hook output priority filter; policy accept;
  }
}
`;
}

/** Rules that open a tunnel's port; opening an open one changes nothing. */
export function openTunnelPort(port: number): string {
  return `add element inet zos tunnel_ports { ${port} }\n`;
}

/** Rules that close a tunnel's port; the first line makes closing a closed one no error. */
export function closeTunnelPort(port: number): string {
  return `${openTunnelPort(port)}delete element inet zos tunnel_ports { ${port} }\n`;
}

/**
 * Whether a listing of all rules (`nft list ruleset`) holds our table and drops what comes in.
 * Anything that nft would word otherwise counts as open, and is loaded again.
 */
export function isHostClosed(listing: string): boolean {
  const start = listing.indexOf('table inet zos {\n');
  if (start < 0) return false;
  const table = listing.slice(start, listing.indexOf('\n}', start));
  return /chain input \{\s+type filter hook input priority (?:0|filter); policy drop;/u.test(table);
}
