import { build } from 'esbuild';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { expect, test } from 'vitest';
import { isValidSignature } from '../../src/identity/ed25519.ts';
import { fromHex } from '../../src/lib/bytes.ts';

type Vector = { readonly key: string; readonly msg: string; readonly sig: string };

const file = new URL('../vectors/wycheproof-ed25519.json', import.meta.url);
const { testGroups } = JSON.parse(readFileSync(file, 'utf8')) as {
  testGroups: {
    publicKey: { pk: string };
    tests: { msg: string; sig: string; result: 'valid' | 'invalid' }[];
  }[];
};
const vectors = testGroups.flatMap(({ publicKey, tests }) =>
  tests.map(({ msg, sig, result }) => ({ key: publicKey.pk, msg, sig, result })),
);

/** What a page is given: the very file, and nothing in the place of what Node has. */
async function bundle(): Promise<string> {
  const { outputFiles, warnings } = await build({
    entryPoints: ['src/identity/ed25519.ts'],
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'iife',
    globalName: 'strict',
    logLevel: 'silent',
  });
  expect(warnings.filter(({ text }) => !text.includes('node:crypto'))).toEqual([]);
  return outputFiles[0]?.text ?? '';
}

test('a real browser judges every Wycheproof vector as Node does, by the file as it is', async () => {
  const script = await bundle();
  // As root, Chromium has no sandbox of its own to go into; the page is ours.
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  try {
    const page = await browser.newPage();
    await page.addScriptTag({ content: script });
    const judged = await page.evaluate(
      judge,
      vectors.map(({ key, msg, sig }) => ({ key, msg, sig })),
    );
    expect(judged.hasNode).toBe(false);
    const byNode = vectors.map(({ key, msg, sig }) =>
      isValidSignature(
        { publicKey: bytes(key), message: bytes(msg), signature: bytes(sig) },
        'node',
      ),
    );
    expect(judged.verdicts).toEqual(byNode);
    expect(byNode).toEqual(vectors.map(({ result }) => result === 'valid'));
    expect(judged.byNodeEngine).toBe(false);
  } finally {
    await browser.close();
  }
});

function bytes(hex: string): Uint8Array {
  return fromHex(hex) ?? new Uint8Array();
}

/** Runs in the page, so everything that it uses is in it. */
function judge(claims: readonly Vector[]) {
  const { strict } = globalThis as unknown as {
    strict: { isValidSignature: (claim: object, engine?: string) => boolean };
  };
  const read = (hex: string): Uint8Array =>
    Uint8Array.from(hex.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16));
  const asked = claims.map(({ key, msg, sig }) => {
    return { publicKey: read(key), message: read(msg), signature: read(sig) };
  });
  return {
    hasNode: 'process' in globalThis || 'Buffer' in globalThis,
    verdicts: asked.map((claim) => strict.isValidSignature(claim)),
    /** It is not there: asked for by name it trusts nothing, and does not throw. */
    byNodeEngine: asked.some((claim) => strict.isValidSignature(claim, 'node')),
  };
}
