/**
 * How many cases each parser of unsigned bytes gets, of the million in all. A parser that is added
 * takes its share here; `total.test.ts` counts.
 */
export const SHARES = {
  quote: 150_000,
  quoteKey: 60_000,
  quoteSignature: 60_000,
  eventLog: 150_000,
  evidence: 60_000,
  measurements: 60_000,
  tpmAnswer: 160_000,
} as const;
