import { runCourier } from '../../src/node/online/courier.ts';

/** The courier by itself: all of the agent's code beside it would take as much memory again. */
void runCourier().then((status) => process.exit(status));
