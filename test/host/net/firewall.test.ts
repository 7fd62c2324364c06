import { expect, test } from 'vitest';
import {
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
