/** One thing that is measured, and what it has to reach. */
export type Figure = {
  /** As in `--only`. */
  readonly name: string;
  readonly what: string;
  readonly unit: 'MB' | 'KiB' | 's' | 'ms' | 'a second' | '% of a core' | 'times' | 'bytes a look';
  /** The most that it may be, or the least. */
  readonly reach: number;
  readonly isLeast?: boolean;
  readonly measure: () => Promise<number>;
};

/** A figure as it was seen. */
export type Seen = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly reach: string;
  readonly ok: boolean;
};

/** Measures a figure once. */
export async function see(figure: Figure): Promise<Seen> {
  const { name, unit, reach, isLeast = false, measure } = figure;
  const value = Math.round((await measure()) * 100) / 100;
  const ok = isLeast ? value >= reach : value <= reach;
  return { name, value, unit, reach: `${isLeast ? '>=' : '<='} ${reach} ${unit}`, ok };
}

/** The figures as a table for people. */
export function tableOf(seen: readonly Seen[]): string {
  const rows = [
    ['figure', 'value', 'reach', ''],
    ...seen.map(({ name, value, unit, reach, ok }) => [
      name,
      `${value} ${unit}`,
      reach,
      ok ? 'ok' : 'MISSED',
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const lines = rows.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '),
  );
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

/** The smallest of the values that so many of a hundred don't exceed (nearest rank). */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = Math.ceil((percent / 100) * sorted.length);
  return sorted[Math.max(0, rank - 1)] ?? Number.NaN;
}
