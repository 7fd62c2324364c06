#!/usr/bin/env node
import { homedir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { runZos } from './program.ts';

// The command `zos`: the only place of the bot that knows the process it runs in.
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
process.once('SIGTERM', () => stop.abort());
// Whoever reads the answer may stop reading (`zos nodes | head`): that is no failure.
process.stdout.on('error', () => process.exit(0));

const { env } = process;
const hasColour = process.stdout.isTTY && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
process.exitCode = await runZos(process.argv.slice(2), {
  homePath: env['ZOS_HOME'] ?? join(env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'), 'zos'),
  directoryUrl: env['ZOS_DIRECTORY'],
  terminal: {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    isErrScreen: process.stderr.isTTY,
    // Some terminals say that they are 0 columns wide.
    columns: process.stderr.columns || 80,
    hasColour,
  },
  nowMs: () => Date.now(),
  environment: (name) => env[name],
  input: async () => text(process.stdin),
  signal: stop.signal,
});
