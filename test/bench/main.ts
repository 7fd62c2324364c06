import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildEnvironment } from '../../boot/grid/release.ts';
import { ATTESTATION_FIGURES } from './attestation.ts';
import { figuresAlone } from './alone.ts';
import { feedFigures } from './feed/figures.ts';
import { figuresOfLoop } from './loop/figures.ts';
import { figuresOfProof } from './record/proof.ts';
import { figuresOfProven } from './record/proven.ts';
import { see, type Seen, tableOf } from './figure.ts';
import { figuresOfWitness } from './record/witness.ts';
import { figuresOnGrid } from './on-grid.ts';
import { figuresOfSearch } from './search/figures.ts';
import { figuresOfContracts } from './store/contracts.ts';
import { figuresOfHeartbeats } from './store/heartbeats.ts';
import { figuresOfRaces } from './store/races.ts';
import { figuresOfRows } from './store/rows.ts';
import { figuresOnUefi } from './on-uefi.ts';
import { figuresOnUpdate } from './on-update.ts';

const ROOT = join(import.meta.dirname, '../..');

const { values } = parseArgs({
  options: { json: { type: 'string' }, only: { type: 'string', multiple: true } },
});
const environment = buildEnvironment(process.env);
const isComplete = await bench();
process.exitCode = isComplete ? 0 : 1;

/** Measures what is wished for, one after the other; whether all of it was reached. */
async function bench(): Promise<boolean> {
  await using alone = figuresAlone(ROOT, environment);
  await using onGrid = figuresOnGrid(ROOT, environment);
  await using onUpdate = figuresOnUpdate(ROOT, environment);
  const all = [
    ...onGrid.figures,
    ...onUpdate.figures,
    ...alone.figures,
    ...figuresOnUefi(ROOT, environment),
    ...ATTESTATION_FIGURES,
    ...figuresOfLoop(ROOT),
    ...feedFigures(),
    ...figuresOfContracts(),
    ...figuresOfHeartbeats(),
    ...figuresOfRows(),
    ...figuresOfRaces(),
    ...figuresOfProof(),
    ...figuresOfProven(),
    ...figuresOfWitness(),
    ...figuresOfSearch(),
  ];
  const { only } = values;
  const names = new Set(all.map(({ name }) => name));
  const strange = only?.filter((name) => !names.has(name)) ?? [];
  if (strange.length > 0) {
    console.error(`There is no figure ${strange.join(', ')}; there are ${[...names].join(', ')}.`);
    return false;
  }
  const wanted = only === undefined ? all : all.filter(({ name }) => only.includes(name));
  const seen: Seen[] = [];
  for (const figure of wanted) {
    console.error(`bench: ${figure.name}: ${figure.what} ...`);
    // A grid that is up would take processor time from what is measured alone.
    if (figure === onUpdate.figures[0]) await onGrid[Symbol.asyncDispose]();
    if (figure === alone.figures[0]) await onUpdate[Symbol.asyncDispose]();
    seen.push(await see(figure));
  }
  console.log(`\n${tableOf(seen)}`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(seen, null, 2)}\n`);
  return seen.every(({ ok }) => ok);
}
