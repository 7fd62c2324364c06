import { z } from 'zod';
import { QuestionError, verifySignedQuestion } from '../../contract/question.ts';
import { answerSchema } from '../../contract/spec.ts';
import { envelopeSchema, openEnvelope, parsePayload } from '../../identity/envelope.ts';
import { idAnswer, idParams, questionBody } from '../../sdk/api.ts';
import { RefusedError } from '../errors.ts';
import { type App, claimedNode, type Directory, REFUSALS, spendOf } from './app.ts';

/** Questions by tenants to nodes, and the sealed answers, which the directory can't read. */
export function addQuestionRoutes(app: App, directory: Directory): void {
  const { grid, store, nowMs } = directory;
  const tags = ['questions'];

  app.post(
    '/v1/questions',
    { schema: { tags, body: questionBody, response: { 200: idAnswer, ...REFUSALS } } },
    async ({ body }) => {
      const question = verifySignedQuestion(body, { grid, nowMs: nowMs() });
      spendOf(directory, question.tenant);
      await store.ask({
        question: { value: question, envelope: body.question },
        asker: body.tenant,
        nowMs: nowMs(),
      });
      return { id: question.id };
    },
  );

  app.post(
    '/v1/answers',
    { schema: { tags, body: envelopeSchema, response: { 200: idAnswer, ...REFUSALS } } },
    async ({ body }) => {
      const node = await claimedNode(directory, body, 'answer');
      const answer = parsePayload(openEnvelope(body, 'answer', node.keys), answerSchema);
      if (answer.node !== node.id || answer.grid !== grid) {
        throw new QuestionError('ANSWER_FOREIGN', 'It answers for another node or grid.');
      }
      spendOf(directory, node.id);
      await store.putAnswer({ value: answer, envelope: body }, nowMs());
      return { id: answer.question };
    },
  );

  app.get(
    '/v1/questions/:id/answer',
    {
      schema: {
        tags,
        params: idParams,
        response: { 200: envelopeSchema, 204: z.null(), ...REFUSALS },
      },
    },
    async ({ params }, reply) => {
      const answer = await store.answer(params.id, nowMs());
      if (answer === undefined) {
        throw new RefusedError('QUESTION_UNKNOWN', 'No such question is open; ask again.');
      }
      return answer === null ? reply.code(204).send(null) : reply.send(answer);
    },
  );
}
