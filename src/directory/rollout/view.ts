import { isForgiven, turnsAtOnce } from '../../rollout/plan.ts';
import type { ReleaseKind } from '../../rollout/spec.ts';
import { TURNS_SHOWN_MAX, type UpdatesAnswer } from '../../sdk/api.ts';
import type { Sql } from '../sqlite/database.ts';
import { numberIn, textIn } from '../sqlite/rows.ts';
import { carriedPolicyOf, farmerOf, policyOf } from './policies.ts';
import { countNodes } from './turns.ts';

/** A farm's policy, and how its nodes stand with each release. */
export function updatesOf(sql: Sql, farm: string): UpdatesAnswer | undefined {
  if (farmerOf(sql, farm) === undefined) return undefined;
  const policy = policyOf(sql, farm);
  const nodes = countNodes(sql, farm);
  const rows = sql.all(
    'SELECT * FROM turns WHERE farm = :farm ORDER BY at_ms DESC, node LIMIT :limit',
    { farm, limit: TURNS_SHOWN_MAX },
  );
  return {
    farm,
    nodes,
    updatePolicy: carriedPolicyOf(sql, farm) ?? null,
    atOnce: turnsAtOnce(policy, nodes),
    turns: rows.map((row) => {
      const release = textIn(row, 'release');
      const policyVersion = numberIn(row, 'policy_version');
      return {
        node: textIn(row, 'node'),
        release,
        what: textIn(row, 'what') as ReleaseKind,
        state: textIn(row, 'state') as UpdatesAnswer['turns'][number]['state'],
        because: textIn(row, 'because'),
        atMs: numberIn(row, 'at_ms'),
        untilMs: row['until_ms'] === null ? null : numberIn(row, 'until_ms'),
        isForgiven:
          row['state'] === 'bad' && isForgiven({ sha256: release, policyVersion }, policy),
      };
    }),
  };
}
