import { expect, test } from 'vitest';
import {
  AGENT_CAPABILITIES,
  AGENT_EXCEPTIONS,
  AGENT_REFUSED,
} from '../../image/node/confinement.ts';

const refused = new Set(AGENT_REFUSED.flatMap(({ names }) => names));

test('no call is both refused to the agent and an exception', () => {
  expect(Object.keys(AGENT_EXCEPTIONS).filter((name) => refused.has(name))).toEqual([]);
});

test('each call, capability and exception stands there once, with a reason', () => {
  const rows = [...AGENT_REFUSED, ...AGENT_CAPABILITIES];
  const names = rows.flatMap((row) => row.names);
  expect(new Set(names).size).toBe(names.length);
  const reasons = [...rows.map(({ why }) => why), ...Object.values(AGENT_EXCEPTIONS)];
  expect(reasons.filter((why) => why.length < 'the clock'.length)).toEqual([]);
});
