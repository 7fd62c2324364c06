import type { Holding } from '../../phonebook/name.ts';
import type { Grid } from '../grid.ts';
import type { Alarm } from './nodes.ts';

/** Compares the phone book that the directory shows with the claims that are on the record. */
export async function nameAlarms(
  { client }: Pick<Grid, 'client'>,
  recorded: readonly Holding[],
): Promise<Alarm[]> {
  const owners = new Map(
    recorded.filter(({ state }) => state === 'held').map(({ name, owner }) => [name, owner]),
  );
  const alarms: Alarm[] = [];
  let cursor: number | null = 0;
  while (cursor !== null) {
    const page: Awaited<ReturnType<typeof client.names>> = await client.names({ cursor });
    for (const { name, owner } of page.items) {
      const recordedOwner = owners.get(name);
      // A claim that is not on the record yet may be there at the next look.
      if (recordedOwner === undefined || recordedOwner === owner) continue;
      const sentence =
        `The phone book shows ${owner.slice(0, 10)} under the name ${name}, and the record ` +
        `${recordedOwner.slice(0, 10)}: a key was swapped.`;
      alarms.push({ code: 'NAME_SWAPPED', sentence });
    }
    cursor = page.next;
  }
  return alarms;
}
