import { expect, test } from 'vitest';
import { troubleSchema, TROUBLES_MAX } from '../../../src/contract/health/trouble.ts';
import { openTroubles, TROUBLE_CODES } from '../../../src/node/health/troubles.ts';

function open() {
  const clock = { steadyMs: 1000 };
  const lines: string[] = [];
  const troubles = openTroubles({
    steady: () => clock.steadyMs,
    say: (line) => lines.push(line),
  });
  return { clock, lines, troubles };
}

test('a trouble lasts from when it began until it is over, and other words begin none', () => {
  const { clock, lines, troubles } = open();
  troubles.set('DISK_FULL', 'vda is full.');
  clock.steadyMs += 5000;
  troubles.set('DISK_FULL', 'vda and vdb are full.');
  troubles.set('DISK_FULL', 'vda and vdb are full.');
  expect(troubles.list(1_000_000)).toEqual([
    { code: 'DISK_FULL', sentence: 'vda and vdb are full.', sinceMs: 995_000 },
  ]);
  troubles.set('DISK_FULL', null);
  troubles.set('DISK_FULL', null);
  expect(troubles.list(1_000_000)).toEqual([]);
  expect(lines).toEqual([
    'trouble DISK_FULL vda is full.',
    'trouble DISK_FULL vda and vdb are full.',
    'trouble over DISK_FULL',
  ]);
});

test('the oldest comes first, and setting the clock changes no order', () => {
  const { clock, troubles } = open();
  troubles.set('DNS_DEAD', 'No name server answers.');
  clock.steadyMs += 10;
  troubles.set('CLOCK_UNSURE', 'The clock was never set.');
  const codes = (nowMs: number): string[] => troubles.list(nowMs).map(({ code }) => code);
  expect(codes(1_900_000_000_000)).toEqual(['DNS_DEAD', 'CLOCK_UNSURE']);
  expect(troubles.list(0).every(({ sinceMs }) => sinceMs === 0)).toBe(true);
});

test('each change is told to who follows, and what is no change is not', () => {
  const { troubles } = open();
  let changes = 0;
  troubles.follow(() => {
    changes += 1;
  });
  troubles.set('NO_ADDRESS', 'No card has an address.');
  troubles.set('NO_ADDRESS', 'No card has an address.');
  troubles.set('NO_ADDRESS', null);
  expect(changes).toBe(2);
});

test('whatever the words are, they are one line that a heartbeat takes', () => {
  const { troubles } = open();
  for (const code of TROUBLE_CODES) troubles.set(code, `\u001B[2Ja\nb${'c'.repeat(5000)}`);
  troubles.set('DISK_FULL', '\n');
  for (const trouble of troubles.list(5)) {
    expect(troubleSchema.parse(trouble).sentence).not.toMatch(/\p{Cc}/u);
  }
  expect(troubles.list(5).length).toBeLessThanOrEqual(TROUBLES_MAX);
});
