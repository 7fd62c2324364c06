// Runs in a guest as its only program; see `runInGuest`.
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { containerDriver } from '../../../src/container/apply.ts';
import { readLogTail } from '../../../src/container/observe.ts';
import type { ContainerSpec, SealedSecret } from '../../../src/container/plan.ts';
import { bindingOf, openSecret, sealSecret } from '../../../src/contract/checks/body.ts';
import { listMounts } from '../../../src/host/mount.ts';
import { makeSecretKeys } from '../../../src/identity/keys.ts';
import { textOf, toBase64, utf8 } from '../../../src/lib/bytes.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import type { NamedFile } from '../../../src/lib/names.ts';
import { imageDriver } from '../../../src/zosfs/apply.ts';
import { openImageStore } from '../../../src/zosfs/store.ts';
import { comesTrue, powerOff, prepareMachine, serveImage, shellContainer } from './ground.ts';
import { linesOfResult } from './mark.ts';

const { signal } = new AbortController();
const [node, tenant] = [makeSecretKeys(), makeSecretKeys()];
const containers = containerDriver((secret) => openSecret(node.sealing.secretKey, secret));
/** By chance, so that they stand nowhere in this program. */
const [FILE, VARIABLE] = [
  `mark-${randomBytes(12).toString('hex')}`,
  randomBytes(12).toString('hex'),
];

function seal(name: string, env: string | null, value: string): SealedSecret {
  const place = { grid: 'test', tenant: 'a', node: 'b', container: 'vault', name };
  const { publicKey: recipientKey } = node.sealing;
  const sealerSecret = tenant.sealing.secretKey;
  const sealed = sealSecret({ ...place, recipientKey, value: utf8(value), sealerSecret });
  return { name, env, sealed, binding: bindingOf(place) };
}

/** Tells hashes only, so that the log holds no secret by the container's own doing. */
const LOOK = `alias b=busybox
echo "variable $(printf %s "$TOKEN" | b sha256sum)"
echo "file $(b sha256sum < /run/secrets/key)"
b ls -ln /run/secrets; b touch /run/secrets/x; b tr '\\0' ' ' < /proc/1/cmdline
echo; echo looked; b sleep 1000`;

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Every file of the node's tree, of crun's and of the node's own memory, that holds a mark. */
function findMarks(folder: string, marks: readonly string[]): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder === '/' ? '' : folder}/${entry.name}`;
    if (entry.isDirectory() && !['/proc', '/sys', '/dev'].includes(path)) {
      found.push(...findMarks(path, marks));
    }
    if (!entry.isFile()) continue;
    const text = readFileSync(path, 'latin1');
    if (marks.some((mark) => text.includes(mark))) found.push(path);
  }
  return found;
}

/** What `ps` shows of every process there is. */
function commandLines(): string {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/u.test(name));
  return pids.map((pid) => read(`/proc/${pid}/cmdline`) + read(`/proc/${pid}/comm`)).join('\n');
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function marksAnywhere(spec: ContainerSpec): string[] {
  const marks = [FILE, VARIABLE, toBase64(utf8(FILE)), toBase64(utf8(VARIABLE))];
  const told = JSON.stringify(spec) + commandLines();
  return [...findMarks('/', marks), ...marks.filter((mark) => told.includes(mark))];
}

async function trySecrets(image: NamedFile): Promise<unknown> {
  const secrets = [seal('token', 'TOKEN', `${VARIABLE}\n`), seal('key', null, FILE)];
  const spec = shellContainer({ name: 'vault', image, script: LOOK, secrets });
  await containers.create(spec, signal);
  const log = async (): Promise<string> => textOf(await readLogTail(spec.id, 20_000));
  await comesTrue(async () => (await log()).includes('looked'));
  const have = (await containers.observe(signal)).get(spec.id);
  const text = await log();
  const running = marksAnywhere(spec);
  const environment = read(`/proc/${have?.pid}/environ`);
  const mounts = (await listMounts()).filter(({ source }) => source === 'zos-secrets');
  const difference = have === undefined ? 'gone' : containers.compare(spec, have).change;
  if (have !== undefined) await containers.remove(spec.id, have, signal);
  return {
    log: text,
    isVariableRight: text.includes(`variable ${hashOf(VARIABLE)}`),
    running,
    difference,
    isInEnvironment: environment.includes(`TOKEN=${VARIABLE}\0`),
    mounts: mounts.map(({ path }) => path),
    removed: marksAnywhere(spec),
    left: readdirSync('/run/zos/container-secrets'),
  };
}

/** One that was sealed for another container, and one that is no text but wanted as a variable. */
async function tryBad(image: NamedFile): Promise<unknown> {
  const foreign = { ...seal('key', null, FILE), binding: '00'.repeat(32) };
  const binary = seal('token', 'TOKEN', `a\0${VARIABLE}`);
  const said: unknown[] = [];
  for (const secret of [foreign, binary]) {
    const spec = shellContainer({ name: 'vault', image, script: LOOK, secrets: [secret] });
    const error: unknown = await containers.create(spec, signal).catch((it: unknown) => it);
    const text = error instanceof Error ? `${error.stack}${JSON.stringify(error)}` : '';
    const isTold = text.includes(FILE) || text.includes(VARIABLE);
    const have = (await containers.observe(signal)).get(spec.id);
    const isThere = (have?.pid ?? 0) > 0;
    said.push({ code: codeOf(error), isTold, isThere, marks: marksAnywhere(spec) });
    if (have !== undefined) await containers.remove(spec.id, have, signal);
  }
  return said;
}

const result: Record<string, unknown> = {};
try {
  await prepareMachine();
  const image = await serveImage();
  const ground = await openImageStore({ dataPath: null });
  await imageDriver(ground).create(image, signal);
  const { log, ...found } = (await trySecrets(image)) as Record<string, unknown>;
  result['secrets'] = found;
  result['log'] = log;
  result['isFileRight'] = String(log).includes(`file ${hashOf(FILE)}`);
  result['bad'] = await tryBad(image);
} catch (error) {
  result['error'] = error instanceof Error ? `${error.stack}` : String(error);
}
for (const line of linesOfResult(result)) console.log(line);
await powerOff();
