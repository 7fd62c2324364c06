import { expect, test } from 'vitest';
import { withoutUnused } from '../../image/node/unused.ts';

const LEFT = ['en.res', 'en_US.res', 'root.res', 'pool.res', 'supplementalData.res', 'nfc.nrm'];
const OUT = ['af.res', 'curr/zh_Hant.res', 'ibm-37.cnv', 'brkitr/cjdict.dict', 'rbnf/root.res'];

/** A program with ICU's data in it: head, table of names, and a text of its own for each name. */
function program(
  names: readonly string[],
  compiler = 'AGFzbQEAAAAB'.padEnd(1_000_000, 'x'),
): Buffer {
  const head = Buffer.alloc(32);
  head.writeUInt16LE(32, 0);
  head.set([0xda, 0x27], 2);
  head.write('CmnD', 12, 'latin1');
  const texts = names.map((name) => Buffer.from(`data of ${name}`));
  const labels = names.map((name) => Buffer.from(`icudt78l/${name}\0`));
  const table = Buffer.alloc(4 + names.length * 8);
  table.writeUInt32LE(names.length);
  let nameAt = table.length;
  let textAt = table.length + Buffer.concat(labels).length;
  for (const index of names.keys()) {
    table.writeUInt32LE(nameAt, 4 + index * 8);
    table.writeUInt32LE(textAt, 8 + index * 8);
    nameAt += labels[index]?.length ?? 0;
    textAt += texts[index]?.length ?? 0;
  }
  const data = Buffer.concat([head, table, ...labels, ...texts]);
  return Buffer.concat([Buffer.from('code '), data, Buffer.from(` bytes = "${compiler}"; rest`)]);
}

test('other languages and the compiler are gone, all else is where it was', () => {
  const before = program([...LEFT, ...OUT, 'zone/en.res']);
  const after = Buffer.from(withoutUnused(before));
  expect(after.length).toBe(before.length);
  for (const name of [...LEFT, 'zone/en.res']) expect(after.includes(`data of ${name}`)).toBe(true);
  for (const name of OUT) expect(after.includes(`data of ${name}`)).toBe(false);
  expect(after.includes('AGFzbQEAAAAB')).toBe(false);
  expect(after.toString('latin1').endsWith('"; rest')).toBe(true);
});

test('a Node.js of another form is refused, so that nobody ships what was not looked at', () => {
  const both = Buffer.concat([program(OUT), program(OUT)]);
  for (const strange of [Buffer.from('nothing'), both, program(LEFT), program(OUT, 'none')]) {
    expect(() => withoutUnused(strange)).toThrow(/is not as known/u);
  }
});
