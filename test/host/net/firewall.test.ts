import { expect, test } from 'vitest';
import {
  isHostClosed,
  closeTunnelPort,
  hostRules,
  openTunnelPort,
  TUNNEL_PORTS,
} from '../../../src/host/net/firewall.ts';
import { membersOf } from '../../../src/host/net/nft.ts';

test('the rules of the host are these and no others', async () => {
  const rules = hostRules([51_820, 7]);
  await expect(rules).toMatchFileSnapshot('../../golden/host/firewall.nft');
});

test('without a tunnel no port is open', () => {
  expect(hostRules()).not.toContain('elements');
});

test('opening and closing touch the set of ports alone', () => {
  for (const rules of [openTunnelPort(7), closeTunnelPort(7)]) {
    expect(
      rules
        .trim()
        .split('\n')
        .every((line) => / element inet zos tunnel_ports /.test(line)),
    ).toBe(true);
  }
});

test('the open ports are read out of a listing, however it breaks lines', () => {
  const listing = `table inet other {
	set tunnel_ports {
		type inet_service
		elements = { 1 }
	}
}
table inet zos {
	set tunnel_ports {
		type inet_service
		elements = { 36089, 38771,
			     51820 }
	}

	chain input {
		udp dport @tunnel_ports accept
	}
}
`;
  expect(membersOf(listing, TUNNEL_PORTS)).toEqual(['36089', '38771', '51820']);
  expect(membersOf('', TUNNEL_PORTS)).toEqual([]);
});

test('the host counts as closed with tunnels and without, and open in any other case', () => {
  const listing = (elements: string, policy: string): string => `table inet zos {
\tset tunnel_ports {
\t\ttype inet_service${elements}
\t}

\tchain input {
\t\ttype filter hook input priority 0; policy ${policy};
\t\tudp dport @tunnel_ports accept
\t}
}
table inet other {
\tchain input {
\t\ttype filter hook input priority 0; policy drop;
\t}
}
`;
  expect(isHostClosed(listing('', 'drop'))).toBe(true);
  expect(isHostClosed(listing('\n\t\telements = { 7, 51820 }', 'drop'))).toBe(true);
  expect(isHostClosed(listing('', 'accept'))).toBe(false);
  expect(isHostClosed(listing('', 'drop').replace('inet zos', 'inet mine'))).toBe(false);
  expect(isHostClosed('')).toBe(false);
});
