import { type ContractAnswer, type ContractSummary, VERSIONS_SHOWN_MAX } from '../../sdk/api.ts';
import { type Life, type LifeVersion, versionState } from '../life.ts';
import type { ContractFilter, Page, PageOf } from '../store.ts';
import { all, one, type Row, type Work } from '../database/work.ts';
import { bodyIn } from './bodies.ts';
import { bundleIn } from '../identity/identities.ts';
import { envelopeIn, envelopeOf, jsonIn, numberIn, pageOf, resourcesIn, textIn } from './rows.ts';

/** One contract with everything that was signed about it. */
export function* contractOf(id: string): Work<ContractAnswer | undefined> {
  const row = yield* one('SELECT * FROM contracts WHERE id = :id', { id });
  if (row === undefined) return undefined;
  const life = jsonIn(row, 'life') as Life;
  const receipt = envelopeOf(
    yield* one('SELECT envelope FROM receipts WHERE contract = :id', { id }),
  );
  const cancellation = yield* one('SELECT envelope FROM cancellations WHERE contract = :id', {
    id,
  });
  const versions = yield* all(
    `SELECT v.life_version, v.envelope, u.bundle, b.digest AS body_digest, b.erasure FROM versions v
     JOIN bundles u ON u.digest = v.bundle
     LEFT JOIN bodies b ON b.version = v.digest WHERE v.contract = :id
     ORDER BY v.seq DESC LIMIT :limit`,
    { id, limit: VERSIONS_SHOWN_MAX },
  );
  return {
    ...summaryIn(row),
    versions: versions.toReversed().map((versionRow) => {
      const { version, digest } = jsonIn(versionRow, 'life_version') as LifeVersion;
      const state = versionState(life, { version, digest });
      const contract = envelopeIn(versionRow, 'envelope');
      const tenant = bundleIn(versionRow, 'bundle');
      return { version, digest, state, contract, tenant, ...bodyIn(versionRow) };
    }),
    cancellation: envelopeOf(cancellation) ?? null,
    receipts: receipt === undefined ? [] : [receipt],
  };
}

/** One page of contracts, oldest first, of one tenant or node or both. */
export function* contractsOf(filter: ContractFilter, page: Page): Work<PageOf<ContractSummary>> {
  const { tenant, node } = filter;
  const where = [
    'seq > :cursor',
    ...(tenant === undefined ? [] : ['tenant = :tenant']),
    ...(node === undefined ? [] : ['node = :node']),
  ].join(' AND ');
  const rows = yield* all(`SELECT * FROM contracts WHERE ${where} ORDER BY seq LIMIT :limit + 1`, {
    ...page,
    ...(tenant === undefined ? {} : { tenant }),
    ...(node === undefined ? {} : { node }),
  });
  return pageOf(rows, page, summaryIn);
}

function summaryIn(row: Row): ContractSummary {
  const life = jsonIn(row, 'life') as Life;
  return {
    id: textIn(row, 'id'),
    tenant: textIn(row, 'tenant'),
    node: textIn(row, 'node'),
    state: life.state,
    version: numberIn(row, 'newest_version'),
    reservedUntilMs: life.reservedUntilMs,
    notAfterMs: numberIn(row, 'not_after_ms'),
    resources: resourcesIn(row),
  };
}
