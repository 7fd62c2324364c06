/**
 * How many cases each parser of unsigned bytes gets, of the million in all. A parser that is added
 * takes its share here; `total.test.ts` counts.
 */
export const SHARES = {
  quote: 150_000,
  quoteKey: 60_000,
  quoteSignature: 60_000,
  eventLog: 130_000,
  evidence: 60_000,
  measurements: 60_000,
  tpmAnswer: 160_000,
  metadata: 16_000,
  farmFile: 40_000,
  gridFile: 30_000,
  bootRecord: 40_000,
  commandLine: 50_000,
  floor: 20_000,
  dhcp: 84_000,
  sntp: 20_000,
  cosignRequest: 20_000,
  identity: 20_000,
  identityDocument: 20_000,
  letter: 20_000,
  courier: 40_000,
} as const;
