import { type KeepParts, openCourier, startConfined } from '../../host/courier/keep.ts';
import { reachBy } from '../../host/http.ts';
import type { AgentConsole } from '../bringup/console.ts';
import type { Troubles } from '../health/troubles.ts';

/** From now on the courier does every request of the agent; keeps one until the signal fires. */
export async function sendCourier(
  parts: Pick<KeepParts, 'sleep' | 'steady'> & {
    readonly console: Pick<AgentConsole, 'say'>;
    readonly troubles: Pick<Troubles, 'set'>;
  },
  signal: AbortSignal,
): Promise<void> {
  const { console, troubles, sleep, steady } = parts;
  const courier = openCourier({
    start: () => startConfined((line) => console.say(`courier: ${line}`)),
    steady,
    sleep,
    onTrouble: (why) => {
      const sentence = `${why} Another one is started; until then nothing is fetched or told.`;
      troubles.set('COURIER_GONE', why === null ? null : sentence);
    },
  });
  reachBy(courier.reach);
  await courier.run(signal);
}
