import { expect, test } from 'vitest';
import {
  REQUEST_AGE_MS_MAX,
  type RequestContext,
  signRequest,
  type SignedRequest,
  verifyRequest,
} from '../../src/contract/request.ts';
import { verifyIdentity } from '../../src/identity/document.ts';
import { signEnvelope } from '../../src/identity/envelope.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { GRID, makePerson, NOW_MS } from '../support/contracts.ts';

const node = makePerson('node');
const REQUEST: SignedRequest = {
  grid: GRID,
  method: 'GET',
  path: '/v1/nodes/a/wants?after=1',
  atMs: NOW_MS,
  nonce: '0123456789abcdef'.repeat(2),
};
const CONTEXT: RequestContext = {
  identity: verifyIdentity(node.document),
  grid: GRID,
  method: 'GET',
  path: REQUEST.path,
  nowMs: NOW_MS,
};

function verdict(header: string | undefined, changes: Partial<RequestContext> = {}): string {
  try {
    return verifyRequest(header, { ...CONTEXT, ...changes }).nonce;
  } catch (error) {
    return codeOf(error);
  }
}

const good = signRequest(REQUEST, node.keys.signing);

function headerOf(value: unknown): string {
  return `ZOS ${Buffer.from(JSON.stringify(value)).toString('base64url')}`;
}

test('a signed request is its signer’s, within five minutes either way', () => {
  expect(verdict(good)).toBe(REQUEST.nonce);
  expect(verdict(good, { nowMs: NOW_MS + REQUEST_AGE_MS_MAX })).toBe(REQUEST.nonce);
  expect(verdict(good, { nowMs: NOW_MS - REQUEST_AGE_MS_MAX })).toBe(REQUEST.nonce);
});

const REFUSED: [string, string | undefined, Partial<RequestContext>, string][] = [
  ['no header', undefined, {}, 'REQUEST_UNSIGNED'],
  ['another scheme', good.replace('ZOS', 'Bearer'), {}, 'REQUEST_UNSIGNED'],
  ['padding that says nothing', `${good}=`, {}, 'REQUEST_UNSIGNED'],
  ['a header without end', `${good}${'A'.repeat(10_000)}`, {}, 'REQUEST_UNSIGNED'],
  ['not an envelope', headerOf({}), {}, 'ENVELOPE_MALFORMED'],
  ['another kind', headerOf(signEnvelope('time', REQUEST, node.keys.signing)), {}, 'ENVELOPE_TYPE'],
  ['another signer', signRequest(REQUEST, makePerson('x').keys.signing), {}, 'ENVELOPE_UNTRUSTED'],
  ['another grid', good, { grid: 'else' }, 'REQUEST_FOREIGN'],
  ['another method', good, { method: 'POST' }, 'REQUEST_FOREIGN'],
  ['another query', good, { path: '/v1/nodes/a/wants?after=2' }, 'REQUEST_FOREIGN'],
  ['too late', good, { nowMs: NOW_MS + REQUEST_AGE_MS_MAX + 1 }, 'REQUEST_STALE'],
  ['from the future', good, { nowMs: NOW_MS - REQUEST_AGE_MS_MAX - 1 }, 'REQUEST_STALE'],
];

test.each(REFUSED)('refused: %s', (...[, header, changes, code]) => {
  expect(verdict(header, changes)).toBe(code);
});
