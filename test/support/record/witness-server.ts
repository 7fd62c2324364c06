import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { ZosError } from '../../../src/lib/errors.ts';
import { cosignCheckpoint } from '../../../src/record/checkpoint.ts';
import { formatSignature, type NoteKey, type NoteSigner } from '../../../src/record/note.ts';
import { EMPTY_HEAD, type TreeHead } from '../../../src/record/tree.ts';
import { parseCosignRequest, planCosign, WITNESS_STATUS } from '../../../src/record/witness.ts';
import { vkeyOf } from './signers.ts';

export type WitnessServer = AsyncDisposable & {
  readonly url: string;
  /** As the directory takes it: its key, and where it answers. */
  readonly wish: string;
  readonly signer: NoteSigner;
  /** What it saw last of the log; tests may make it forget, or see something else. */
  latest: TreeHead;
  /** How it answers: as it should, not at all, or with a status. */
  mood: 'good' | 'silent' | number;
  readonly asked: () => number;
  /** How often it was shown another history than the one that it saw. */
  readonly forks: () => number;
  /** Called when it was asked, and again when it has stored the head and not answered yet. */
  onStep: () => void;
};

/** A witness of one log over HTTP (c2sp.org/tlog-witness), whose memory is only memory. */
export async function openWitness(
  signer: NoteSigner,
  log: NoteKey,
  port = 0,
): Promise<WitnessServer> {
  let [asked, forks] = [0, 0];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      asked += 1;
      witness.onStep();
      if (witness.mood === 'silent') return;
      if (witness.mood !== 'good') {
        response.writeHead(witness.mood).end();
        return;
      }
      const { status, type, text } = answer(new Uint8Array(Buffer.concat(parts)));
      response.writeHead(status, { 'content-type': type }).end(text);
    });
  });
  const answer = (body: Uint8Array): { status: number; type: string; text: string } => {
    try {
      const plan = planCosign(parseCosignRequest(body), (origin) =>
        origin === log.name ? { keys: [log], latest: witness.latest } : undefined,
      );
      witness.latest = plan.to;
      witness.onStep();
      const signature = cosignCheckpoint(plan.text, signer, Math.floor(Date.now() / 1000));
      return { status: 200, type: 'text/plain', text: formatSignature(signature) };
    } catch (error) {
      if (!(error instanceof ZosError)) throw error;
      if (error.code === 'HEAD_FORKED' || error.code === 'CONSISTENCY_INVALID') forks += 1;
      const status = (WITNESS_STATUS as Record<string, number>)[error.code] ?? 400;
      if (status !== 409) return { status, type: 'text/plain', text: `${error.message}\n` };
      return { status, type: 'text/x.tlog.size', text: `${witness.latest.size}\n` };
    }
  };
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const witness: WitnessServer = {
    url,
    wish: `${vkeyOf(signer, 'cosignature-v1')} ${url}`,
    signer,
    latest: EMPTY_HEAD,
    mood: 'good',
    asked: () => asked,
    forks: () => forks,
    onStep: () => undefined,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return witness;
}
