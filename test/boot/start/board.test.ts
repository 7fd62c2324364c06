import { expect, test } from 'vitest';
import fc from 'fast-check';
import {
  type Board,
  drawBoard,
  emptyBoard,
  plainLine,
  withEvent,
} from '../../../boot/start/board.ts';
import type { GridEvent } from '../../../boot/grid/event.ts';

const LOOK = { columns: 60, hasColour: false, nowMs: 95_000 };

const EVENTS: readonly (readonly [number, GridEvent])[] = [
  [1000, { subject: 'image', state: 'running', text: 'first stage' }],
  [41_200, { subject: 'image', state: 'done', text: 'kernel 11.6 MiB, system.erofs 55.9 MiB' }],
  [42_000, { subject: 'node 1', state: 'running', text: 'link-up eth0' }],
  [90_000, { subject: 'node 2', state: 'failed', text: 'refused system.erofs: DIGEST_MISMATCH' }],
];

function boardAfter(events: typeof EVENTS): Board {
  const empty = emptyBoard(['image', 'node 1', 'node 2', 'page'], 0);
  return events.reduce((board, [nowMs, event]) => withEvent(board, event, nowMs), empty);
}

test('the board shows each part with what it does, and how long it took so far', () => {
  expect(drawBoard(boardAfter(EVENTS), LOOK).join('\n')).toBe(
    [
      ' ✔ image        kernel 11.6 MiB, system.erofs …      40.2 s',
      ' ⠋ node 1       link-up eth0                         53.0 s',
      ' ✘ node 2       refused system.erofs: DIGEST_M…       0.0 s',
      ' · page',
    ].join('\n'),
  );
});

test('without a screen each event is a line with the time since the start', () => {
  const lines = EVENTS.map(([nowMs, event]) => plainLine(boardAfter([]), event, nowMs));
  expect(lines.join('\n')).toBe(
    [
      '       1.0 s    image        first stage',
      '      41.2 s  ✔ image        kernel 11.6 MiB, system.erofs 55.9 MiB',
      '      42.0 s    node 1       link-up eth0',
      '  1 min 30 s  ✘ node 2       refused system.erofs: DIGEST_MISMATCH',
    ].join('\n'),
  );
});

test('no row is wider than the screen or commands it, whatever a guest says', () => {
  const anyText = fc.string({ unit: fc.constantFrom('a', 'é', '\u001B[2J', '\r', '\n', '\u009B') });
  fc.assert(
    fc.property(anyText, fc.integer({ min: 40, max: 200 }), (text, columns) => {
      const board = boardAfter([[1, { subject: 'node 1', state: 'running', text }]]);
      for (const line of drawBoard(board, { ...LOOK, columns })) {
        expect(line.length).toBeLessThanOrEqual(columns);
        // oxlint-disable-next-line no-control-regex
        expect(line).not.toMatch(/[\u0000-\u001F\u007F-\u009F]/u);
      }
    }),
  );
});

test('a part that was not announced gets a row of its own', () => {
  const event: GridEvent = { subject: 'node 3', state: 'running', text: 'here' };
  const { rows } = withEvent(boardAfter([]), event, 5);
  expect(rows.at(-1)).toMatchObject({ subject: 'node 3', startedMs: 5 });
});
