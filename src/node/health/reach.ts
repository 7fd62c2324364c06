import { HttpError } from '../../host/http.ts';
import { MINUTE_MS } from '../../lib/units.ts';
import type { Troubles } from './troubles.ts';

/** Told of every call to the directory: with `null` it answered, whatever it answered. */
export type OnReached = (error: unknown) => void;

/** Shorter silences are what networks have; a directory that starts anew takes less. */
const SILENT_MS = MINUTE_MS;

/** Says it when the directory, or every DNS server, has been silent for longer than a moment. */
export function watchReach(parts: {
  readonly troubles: Pick<Troubles, 'set'>;
  readonly steady: () => number;
}): OnReached {
  const { troubles, steady } = parts;
  let silentSince: number | undefined;
  return (error) => {
    if (!(error instanceof HttpError)) {
      silentSince = undefined;
      troubles.set('DNS_DEAD', null);
      troubles.set('DIRECTORY_SILENT', null);
      return;
    }
    silentSince ??= steady();
    if (steady() - silentSince < SILENT_MS) return;
    const isNameless = error.code === 'HTTP_NO_NAME';
    const goesOn = 'What was signed before goes on, and nothing new starts.';
    troubles.set('DNS_DEAD', isNameless ? error.message : null);
    troubles.set('DIRECTORY_SILENT', `${error.message} ${goesOn}`);
  };
}
