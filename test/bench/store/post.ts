import { type Agent, request } from 'node:http';

/** Sends a body and answers with the status, with as little work as can be. */
export async function post(url: string, body: string, agent: Agent): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const asking = request(url, { method: 'POST', agent, headers }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode ?? 0));
    });
    asking.once('error', reject);
    asking.end(body);
  });
}
