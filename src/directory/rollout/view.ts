import { isForgiven, turnsAtOnce } from '../../rollout/plan.ts';
import type { ReleaseKind } from '../../rollout/spec.ts';
import { TURNS_SHOWN_MAX, type UpdatesAnswer } from '../../sdk/api.ts';
import { all, type Work } from '../database/work.ts';
import { numberIn, textIn } from '../sql/rows.ts';
import { carriedPolicyOf, farmerOf, policyOf } from './policies.ts';
import { countNodes } from './turns.ts';

/** A farm's policy, and how its nodes stand with each release. */
export function* updatesOf(farm: string): Work<UpdatesAnswer | undefined> {
  if ((yield* farmerOf(farm)) === undefined) return undefined;
  const policy = yield* policyOf(farm);
  const nodes = yield* countNodes(farm);
  const rows = yield* all(
    'SELECT * FROM turns WHERE farm = :farm ORDER BY at_ms DESC, node LIMIT :limit',
    { farm, limit: TURNS_SHOWN_MAX },
  );
  return {
    farm,
    nodes,
    updatePolicy: (yield* carriedPolicyOf(farm)) ?? null,
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
