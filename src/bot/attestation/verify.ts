import { AttestationError } from '../../attestation/spec.ts';
import { CHECKS } from '../../attestation/verify.ts';
import { countedClass } from '../../capacity/class.ts';
import { ZosError } from '../../lib/errors.ts';
import { paint } from '../../lib/colour.ts';
import { CLASS_EXIT } from '../errors.ts';
import { chooseNode, type KnownNode, listNodes, openGrid } from '../grid.ts';
import { readSelf } from '../store.ts';
import { openProgress, shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { type Proven, proveNode } from './proof.ts';
import { readMeasurements } from './release.ts';

export type VerifyWish = { readonly node: string; readonly rootPath: string | undefined };

/**
 * `zos verify node`: asks the node's TPM, judges the answer here, check by check, and answers the
 * exit status of the class that is left.
 */
export async function verifyNodeClass(world: World, wish: VerifyWish): Promise<number> {
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  const nowMs = world.nowMs();
  const node = chooseNode((await listNodes(grid, nowMs)).known, wish.node);
  const measurements = await readMeasurements(world, grid, wish.rootPath);
  if (node.offer.class !== 'attested') {
    const because = `It offers itself as ${node.offer.class}, which only it can know.`;
    tell(world, node, { because });
    return CLASS_EXIT[node.offer.class];
  }
  using progress = openProgress(world.terminal, world.nowMs, 'asking the TPM of the node');
  try {
    const proven = await proveNode({ world, grid, self, measurements }, node);
    progress.say('judged');
    tell(world, node, { proven });
    return CLASS_EXIT.attested;
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    tell(world, node, { because: `${error.code}: ${error.message}`, failed: failedCheck(error) });
    throw error;
  }
}

function failedCheck({ facts }: ZosError): number {
  return typeof facts['check'] === 'number' ? facts['check'] : 1;
}

type Outcome = { readonly proven?: Proven; readonly because?: string; readonly failed?: number };

function tell(world: World, node: KnownNode, { proven, because, failed }: Outcome): void {
  const { identity, offer } = node;
  const stateOf = (number: number): 'ok' | 'failed' | 'not-reached' => {
    if (proven !== undefined) return 'ok';
    if (failed === undefined || number > failed) return 'not-reached';
    return number === failed ? 'failed' : 'ok';
  };
  const checks = CHECKS.map((what, at) => ({ number: at + 1, what, state: stateOf(at + 1) }));
  const nodeClass = countedClass(offer.class, proven !== undefined);
  const value = {
    id: identity.id,
    offered: offer.class,
    class: nodeClass,
    isProven: proven !== undefined,
    because: because ?? '',
    checks,
    release: proven?.attestation.release ?? null,
    systems: proven?.attestation.systems ?? [],
    tpm: proven?.attestation.tpm ?? null,
    askedMs: proven?.askedMs ?? null,
    judgedMs: proven?.judgedMs ?? null,
  };
  const isAsked = proven !== undefined || failed !== undefined;
  const lines = isAsked ? checks.map((check) => lineOf(world, check)) : [];
  const end =
    proven === undefined
      ? `Node ${shortId(identity.id)} is not proven. ${because ?? ''}`
      : `Node ${shortId(identity.id)} is attested: it booted ${proven.attestation.release} and ` +
        `runs system ${shortId(proven.attestation.systems.at(-1) ?? '')}; ` +
        `answered in ${proven.askedMs} ms, judged in ${proven.judgedMs.toFixed(1)} ms.`;
  answer(world, value, `${[...lines, end].join('\n')}\n`);
}

function lineOf(
  { terminal }: World,
  { number, what, state }: { number: number; what: string; state: string },
): string {
  const colour = state === 'failed' ? 'red' : 'green';
  const mark = state === 'ok' ? 'ok' : state === 'failed' ? 'NO' : '-';
  const shown = state === 'not-reached' ? mark : paint(terminal, colour, mark);
  return `${String(number).padStart(3)}  ${shown.padEnd(2)}  ${what}`;
}
