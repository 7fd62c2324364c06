import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { type Cancellation, cancellationSchema, contractSchema } from '../../contract/spec.ts';
import type { Contract } from '../../contract/spec.ts';
import type { Identity } from '../../identity/document.ts';
import {
  countersign,
  type Envelope,
  envelopeSchema,
  openEnvelope,
  parsePayload,
  untrustedPayload,
} from '../../identity/envelope.ts';
import { gridSchema } from '../../identity/farm.ts';
import { sha256Hex } from '../../lib/bytes.ts';
import { sha256Schema } from '../../lib/names.ts';
import { BotError } from '../errors.ts';
import { type Grid, openGrid } from '../grid.ts';
import { readSelf, type Self, writeDeployment } from '../store.ts';
import { shortId, table } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { renewTeam } from './renewal.ts';

const itemSchema = z.strictObject({
  kind: z.enum(['contract', 'cancellation']),
  envelope: envelopeSchema,
  /** What goes beside a contract, sealed. */
  body: z.string().optional(),
});
const partSchema = z.strictObject({
  grid: gridSchema,
  team: sha256Schema,
  /** Of the deployment. */
  name: z.string().max(32),
  id: z.string().regex(/^[0-9a-f]{10}$/),
  items: z.array(itemSchema).min(1).max(128),
});
/** What some members of a team signed, and others still have to; nothing in it is secret. */
export type Part = z.infer<typeof partSchema>;
type PartItem = z.infer<typeof itemSchema>;

/** Contracts, each with what goes beside it, and ends of others. */
export function itemsOf(
  contracts: readonly { readonly envelope: Envelope; readonly body: string | undefined }[],
  ends: readonly Envelope[],
): PartItem[] {
  return [
    ...contracts.map(({ envelope, body }): PartItem => {
      return { kind: 'contract', envelope, ...(body === undefined ? {} : { body }) };
    }),
    ...ends.map((envelope): PartItem => ({ kind: 'cancellation', envelope })),
  ];
}

/** Whether what this bot signs needs the signatures of others too. */
export function needsOthers({ identity }: Self): boolean {
  return identity.members.length > 0 && identity.keys.threshold > 1;
}

/** Writes what one member signed to a file, for the next. */
export async function handOn(
  world: World,
  { self, out }: { readonly self: Self; readonly out: string | undefined },
  part: Part,
): Promise<void> {
  const { threshold } = self.identity.keys;
  if (out === undefined) {
    const advice = 'name a file with --out, and hand it to the next member';
    throw new BotError('USAGE', `${self.identity.name} needs ${threshold} signatures; ${advice}.`);
  }
  await writePart(out, part);
  await remember(world, part);
  const next = `The next member signs it with \`zos --team ${self.identity.name} sign ${out}\`.`;
  const text = `${describe(part, self.identity)}\n${missing(part, self.identity)} ${next}\n`;
  answer(world, { id: part.id, name: part.name, file: out, isSent: false }, text);
}

/** `zos sign`: adds this member's signature, and sends everything once enough have signed. */
export async function signPart(world: World, file: string): Promise<void> {
  const grid = await openGrid(world);
  const self = await renewTeam(world, grid, await readSelf(world.home));
  const part = await readPart(file);
  refuseForeign(part, { grid: grid.name, team: self.identity.id });
  const items = part.items.map((item) => ({
    ...item,
    envelope: countersign(item.envelope, item.kind, self.keys.signing),
  }));
  const signed = { ...part, items };
  await writePart(file, signed);
  await remember(world, signed);
  const text = describe(signed, self.identity);
  if (!items.every((item) => isEnough(item, self.identity))) {
    const value = { id: part.id, name: part.name, file, isSent: false };
    answer(world, value, `${text}\n${missing(signed, self.identity)}\n`);
    return;
  }
  for (const item of items) await sendItem(grid, self, item);
  const next = `See \`zos --team ${self.identity.name} status ${part.name}\`.`;
  const value = { id: part.id, name: part.name, file, isSent: true };
  answer(world, value, `${text}\nEnough have signed, and it is sent. ${next}\n`);
}

async function sendItem(grid: Grid, self: Self, { kind, envelope, body }: PartItem): Promise<void> {
  const tenant = self.document;
  if (kind === 'cancellation') {
    await grid.client.cancelContract({ cancellation: envelope, tenant });
    return;
  }
  await grid.client.submitContract({
    contract: envelope,
    tenant,
    ...(body === undefined ? {} : { body }),
  });
}

/** So that every member's bot finds the deployment by its name. */
async function remember(world: World, part: Part): Promise<void> {
  const nodes = part.items.flatMap(({ kind, envelope }): [string, string][] => {
    if (kind === 'cancellation') return [];
    const { id, node } = contractIn(envelope);
    return [[id ?? sha256Hex(untrustedPayload(envelope, 'contract')), node]];
  });
  if (nodes.length === 0) return;
  const { id, name } = part;
  const contracts = nodes.map(([contract]) => contract);
  const deployedAtMs = world.nowMs();
  await writeDeployment(world.home, {
    id,
    name,
    deployedAtMs,
    contracts,
    nodes: Object.fromEntries(nodes),
  });
}

/** Nobody signs for a stranger what they think is the team's. */
function refuseForeign(part: Part, expected: { grid: string; team: string }): void {
  const whose = part.items.map((item) => whoseIn(item));
  const isOurs = whose.every(
    ({ grid, tenant }) => grid === expected.grid && tenant === expected.team,
  );
  if (isOurs && part.grid === expected.grid && part.team === expected.team) return;
  const sentence = 'This file is of another team or grid; name its team with --team.';
  throw new BotError('FILE_INVALID', sentence);
}

function whoseIn({ kind, envelope }: PartItem): { grid: string; tenant: string; node: string } {
  return kind === 'contract' ? contractIn(envelope) : cancellationIn(envelope);
}

function contractIn(envelope: Envelope): Contract {
  return parsePayload(untrustedPayload(envelope, 'contract'), contractSchema);
}

function cancellationIn(envelope: Envelope): Cancellation {
  return parsePayload(untrustedPayload(envelope, 'cancellation'), cancellationSchema);
}

function isEnough({ kind, envelope }: PartItem, { keys }: Identity): boolean {
  try {
    openEnvelope(envelope, kind, keys);
    return true;
  } catch {
    return false;
  }
}

function signedBy({ kind, envelope }: PartItem, team: Identity): string[] {
  return team.members
    .filter((member) => isEnough({ kind, envelope }, member))
    .map(({ name }) => name);
}

function missing({ items: [item] }: Part, team: Identity): string {
  const names = item === undefined ? [] : signedBy(item, team);
  return `Signed by ${names.join(', ')}: ${names.length} of ${team.keys.threshold}.`;
}

/** What a member is about to sign, by what the bytes say. */
function describe(part: Part, team: Identity): string {
  const rows = part.items.map((item) => {
    const by = signedBy(item, team).join(', ');
    if (item.kind === 'cancellation') {
      const { contract, node } = cancellationIn(item.envelope);
      return [`end ${shortId(contract)}`, shortId(node), '', by];
    }
    const { node, workloads, version } = contractIn(item.envelope);
    const names = workloads.flatMap(({ kind, name }) => (kind === 'container' ? [name] : []));
    return [`run ${names.join(', ')}`, shortId(node), `version ${version}`, by];
  });
  return table([['what', 'node', '', 'signed by'], ...rows]);
}

async function readPart(file: string): Promise<Part> {
  try {
    return partSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    const advice = 'it is what `zos --team NAME deploy … --out FILE` wrote';
    throw new BotError('FILE_INVALID', `${file} holds nothing to sign; ${advice}.`, { cause });
  }
}

async function writePart(file: string, part: Part): Promise<void> {
  try {
    await writeFile(file, `${JSON.stringify(partSchema.parse(part))}\n`);
  } catch (cause) {
    const sentence = `${file} can't be written; check the rights and the room, or name another.`;
    throw new BotError('FILE_UNREADABLE', sentence, { cause });
  }
}
