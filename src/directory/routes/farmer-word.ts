import type { Identity } from '../../identity/document.ts';
import { type Envelope, envelopeSchema } from '../../identity/envelope.ts';
import { idAnswer, idParams } from '../../sdk/api.ts';
import type { IdentityBundle } from '../../identity/bundle.ts';
import type { Carried } from '../store.ts';
import { type App, type Directory, farmerOf, REFUSALS, spendOf } from './app.ts';

/** A kind of word that farmers sign about a farm of theirs. */
export type FarmerWord<T> = {
  /** Below `/v1/farms/:id/`. */
  readonly name: string;
  readonly tag: string;
  readonly verify: (word: Envelope, farmer: Identity, farm: string) => T;
  /** Answers the id that the word is known by from here on. */
  readonly put: (word: Carried<T>, document: IdentityBundle, farm: string) => Promise<string>;
};

/** Takes words of one kind: signed with the newest keys of the farmer before anything is kept. */
export function addFarmerWord<T>(app: App, directory: Directory, word: FarmerWord<T>): void {
  app.post(
    `/v1/farms/:id/${word.name}`,
    {
      schema: {
        tags: [word.tag],
        params: idParams,
        body: envelopeSchema,
        response: { 200: idAnswer, ...REFUSALS },
      },
    },
    async ({ params: { id: farm }, body: envelope }) => {
      const { document, farmer } = await farmerOf(directory, farm);
      const value = word.verify(envelope, farmer, farm);
      spendOf(directory, farmer.id);
      return { id: await word.put({ value, envelope }, document, farm) };
    },
  );
}
