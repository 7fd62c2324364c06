import { z } from 'zod';
import { gridSchema } from '../identity/farm.ts';
import { idSchema } from '../identity/document.ts';
import { FREE, pricesSchema } from './price.ts';

const countBytes = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** What a contract takes of a node, and what a node has to give. */
export const resourcesSchema = z.strictObject({
  /** Thousandths of one logical processor. */
  cpuMillis: z.int().min(0).max(1_000_000),
  memoryBytes: countBytes,
  /** Solid-state storage. */
  ssdBytes: countBytes,
  /** Rotating storage; contracts of before there were volumes took none. */
  hddBytes: countBytes.default(0),
});
export type Resources = z.infer<typeof resourcesSchema>;

export const NO_RESOURCES: Resources = { cpuMillis: 0, memoryBytes: 0, ssdBytes: 0, hddBytes: 0 };

/** A node's capacity in the grid's words, with the system's reserve taken off. */
export const capacitySchema = z.strictObject({
  /** Compute: logical processors. */
  cru: z.int().min(0).max(4096),
  /** Memory, bytes. */
  mruBytes: countBytes,
  /** Solid-state storage, bytes. */
  sruBytes: countBytes,
  /** Rotating storage, bytes. */
  hruBytes: countBytes,
});
export type Capacity = z.infer<typeof capacitySchema>;

/** What a node could prove about its boot, best first. */
export const NODE_CLASSES = ['attested', 'verified', 'loader-verified', 'unverified'] as const;
export type NodeClass = (typeof NODE_CLASSES)[number];
export const classSchema = z.enum(NODE_CLASSES);

/** What a node's hardware can do beyond counting, by the words that a search asks with. */
export const FEATURES = [
  'data-disk',
  'tpm',
  'virtualization',
  'x86-64-v2',
  'x86-64-v3',
  'x86-64-v4',
] as const;
export type Feature = (typeof FEATURES)[number];
export const featureSchema = z.enum(FEATURES);
const featuresSchema = z.array(featureSchema).max(FEATURES.length);

/** What a credential for the node's TPM is made from; `src/attestation/spec.ts` reads it. */
const endorsementSchema = z.strictObject({
  certificate: z.string().max(6000),
  key: z.string().max(400),
});

export const offerSchema = z.strictObject({
  grid: gridSchema,
  node: idSchema,
  version: z.int().min(1),
  capacity: capacitySchema,
  class: classSchema,
  /** How to ask its TPM for a proof of that; `null` where it has none that others can ask. */
  endorsement: endorsementSchema.nullable(),
  /** What it costs, by the farmer's signed terms; offers of before prices were free. */
  prices: pricesSchema.default(FREE),
  /** Of the farmer's terms that the prices are from; 0 before there were any. */
  termsVersion: z.int().min(0).default(0),
  /** What its hardware can do, in order, by names of `FEATURES`. */
  features: featuresSchema.default([]),
  /** Plain facts for people: board, processor model, network cards; nothing decides on them. */
  hardware: z.strictObject({
    board: z.string().max(200),
    processor: z.string().max(200),
    networkCards: z.array(z.string().max(200)).max(64),
    disks: z.array(z.string().max(200)).max(256),
  }),
});
/** What a node offers, signed by it; contracts name it by the SHA-256 of the signed payload. */
export type Offer = z.infer<typeof offerSchema>;

/** The resources that an offer's capacity holds. */
export function resourcesOf(capacity: Capacity): Resources {
  return {
    cpuMillis: capacity.cru * 1000,
    memoryBytes: capacity.mruBytes,
    ssdBytes: capacity.sruBytes,
    hddBytes: capacity.hruBytes,
  };
}

/** Each resource of one beside that of the other. */
export function addResources(a: Resources, b: Resources): Resources {
  return {
    cpuMillis: a.cpuMillis + b.cpuMillis,
    memoryBytes: a.memoryBytes + b.memoryBytes,
    ssdBytes: a.ssdBytes + b.ssdBytes,
    hddBytes: a.hddBytes + b.hddBytes,
  };
}

/** What is missing to fit `wanted` beside `used`: all zero when it fits. */
export function shortfall(wanted: Resources, used: Resources, total: Resources): Resources {
  const sum = addResources(wanted, used);
  return {
    cpuMillis: Math.max(0, sum.cpuMillis - total.cpuMillis),
    memoryBytes: Math.max(0, sum.memoryBytes - total.memoryBytes),
    ssdBytes: Math.max(0, sum.ssdBytes - total.ssdBytes),
    hddBytes: Math.max(0, sum.hddBytes - total.hddBytes),
  };
}

/** Whether anything is missing at all. */
export function isShort(short: Resources): boolean {
  return Object.values(short).some((missing) => missing > 0);
}
