import { expect, test } from 'vitest';
import { approvalUrlOf } from '../../src/screen/address.ts';
import { encodeQr, type QrCode } from '../../src/screen/qr.ts';

function drawn(code: QrCode | undefined): string {
  const rows = (code ?? []).map((row) => row.map((dark) => (dark ? '#' : '.')).join(''));
  return `${rows.join('\n')}\n`;
}

// Each of these was read by zbarimg when it was put here.
const TEXTS = [
  ['A', 21],
  ['HTTP://10.91.0.1:8080/N/0123456789ABCDEF0123', 29],
  ['https://directory.example.org/n/0123456789abcdef0123', 33],
  ['X'.repeat(122), 37],
] as const;

test.for(TEXTS)('the code of %s is as it was read', async ([text, size]) => {
  const code = encodeQr(text);
  expect(code?.length).toBe(size);
  await expect(drawn(code)).toMatchFileSnapshot(`../golden/screen/qr-${size}.txt`);
});

test('what no code holds has none', () => {
  expect(encodeQr('X'.repeat(123))).toBeUndefined();
  expect(encodeQr('x'.repeat(85))).toBeUndefined();
});

test('an address is in capital letters unless its path says otherwise', () => {
  const node = '0123456789abcdef'.repeat(4);
  expect(approvalUrlOf('http://grid.example:8080/', node)).toBe(
    'HTTP://GRID.EXAMPLE:8080/N/0123456789ABCDEF0123',
  );
  expect(approvalUrlOf('https://grid.example/dir/', node)).toBe(
    'https://grid.example/dir/n/0123456789abcdef0123',
  );
});
