import { keepFloor } from '../../artifact/release/store-floor.ts';
import type { BootRecord } from '../../artifact/spec.ts';
import type { Log } from '../../host/log.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import type { DataDisk } from '../../disk/apply.ts';
import { DATA_LABEL } from '../../disk/plan.ts';
import type { AgentConsole } from '../bringup/console.ts';

/**
 * Writes down what this boot took, so that no later one goes below it. Only what brought the node
 * online is remembered: what came before can still be taken back.
 */
export function openFloor(parts: {
  readonly record: Pick<BootRecord, 'versions' | 'rootSha256'>;
  readonly disk: DataDisk;
  readonly console: AgentConsole;
  readonly log: Log;
}): () => Promise<void> {
  const { disk, console, log } = parts;
  const { versions, rootSha256 } = parts.record;
  const data = disk.path === null ? undefined : { path: disk.disk.path, label: DATA_LABEL };
  return async () => {
    try {
      const { keptBy } = await keepFloor({ floor: { versions, rootSha256 }, disk: data });
      const where = keptBy.length === 0 ? 'nowhere: no disk and no TPM' : keptBy.join(' and ');
      console.reached('release-remembered', `targets ${versions.targets} ${where}`);
    } catch (error) {
      log.warn({ code: codeOf(error), sentence: sentenceOf(error) }, 'release not remembered');
    }
  };
}
