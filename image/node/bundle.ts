import { writeFile } from 'node:fs/promises';
import { build, type Plugin } from 'esbuild';
import { ImageError } from '../errors.ts';

/**
 * What `src/host/http.ts` uses of undici, in the place of its index, which would run three hundred
 * kilobytes more for what nobody calls: fetch, caches, WebSockets, and mocks.
 */
const UNDICI = `
const Dispatcher = require('undici/lib/dispatcher/dispatcher');
Dispatcher.prototype.request = require('undici/lib/api/api-request');
// How its ProxyAgent reaches HTTPS.
Dispatcher.prototype.connect = require('undici/lib/api/api-connect');
exports.Agent = require('undici/lib/dispatcher/agent');
exports.ProxyAgent = require('undici/lib/dispatcher/proxy-agent');
`;

/** esbuild reads it in the language of Go, which knows no flags at its end. */
const ONLY_UNDICI = new RegExp('^undici$');

const partsOfUndici: Plugin = {
  name: 'parts-of-undici',
  setup: (it) => {
    const namespace = 'parts-of-undici';
    it.onResolve({ filter: ONLY_UNDICI }, ({ resolveDir }) => ({
      path: 'undici',
      namespace,
      pluginData: resolveDir,
    }));
    it.onLoad({ filter: ONLY_UNDICI, namespace }, ({ pluginData }) => ({
      contents: UNDICI,
      resolveDir: String(pluginData),
    }));
  },
};

/**
 * A program with all that it imports, in one file of ASCII; answers which files of which packages
 * went in. One that another loads is a function that is given `require`.
 */
export async function bundleProgram(wish: {
  readonly root: string;
  readonly entry: string;
  readonly outfile: string;
  readonly isLoaded: boolean;
}): Promise<string[]> {
  const frame = { banner: { js: '(function(require){' }, footer: { js: '})' } };
  const result = await build({
    absWorkingDir: wish.root,
    entryPoints: [wish.entry],
    outfile: wish.outfile,
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'cjs',
    // There is nothing to import from but the built-in modules, which `require` has.
    supported: { 'dynamic-import': false },
    ...(wish.isLoaded ? frame : {}),
    plugins: [partsOfUndici],
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'silent',
  });
  const text = result.outputFiles.map((file) => file.text).join('');
  await writeFile(wish.outfile, asAscii(text), 'latin1');
  return Object.keys(result.metafile.inputs).toSorted();
}

/**
 * One character beyond Latin makes V8 keep the whole text with two bytes for each. esbuild writes
 * ASCII but for regular expressions, where an escape means the same.
 */
function asAscii(text: string): string {
  return text.replaceAll(/[^\0-\u007F]/gu, (character) => {
    if (character.length > 1) {
      const sentence = `${character} stands in a regular expression: write it as \\u{...}.`;
      throw new ImageError('NOT_ASCII', sentence);
    }
    return String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
