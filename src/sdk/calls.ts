import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import { signRequest } from '../contract/request.ts';
import type { Signer } from '../identity/envelope.ts';

/** Who signs requests that only they may make, and by which clock. */
export type Signing = {
  readonly grid: string;
  readonly signer: Signer;
  readonly nowMs: () => number;
};

/** The signing of a node. */
export type NodeSigning = Signing & { readonly node: string };

export type PageWish = { readonly cursor?: number; readonly limit?: number };

/** One call of the directory's API. */
export type Wish<T> = {
  readonly path: string;
  readonly schema: z.ZodType<T>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
};

/** Carries it out. */
export type Call = <T>(wish: Wish<T>) => Promise<T>;

/** The two kinds of call that need no signature. */
export type Calls = {
  readonly get: <T>(path: string, schema: z.ZodType<T>) => Promise<T>;
  readonly post: <T>(path: string, body: unknown, schema: z.ZodType<T>) => Promise<T>;
};

/** The header that makes a request its signer's, this once. */
export function authorization(
  { grid, signer, nowMs }: Signing,
  path: string,
  method: 'GET' | 'POST' = 'GET',
) {
  const nonce = randomBytes(16).toString('hex');
  const request = { grid, method, path, atMs: nowMs(), nonce };
  return { authorization: signRequest(request, signer) };
}

/** What follows the path. */
export function queryOf(wish: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(wish).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return query.size === 0 ? '' : `?${query.toString()}`;
}
