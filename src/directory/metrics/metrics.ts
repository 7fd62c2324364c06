import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Answers in a tenth of a second are good, in a second bad. */
const SECONDS_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

export type Answered = {
  readonly method: string;
  /** As it stands in the OpenAPI document; what is asked for beside it counts as `none`. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
};

/** What a directory counts, for Prometheus (text format 0.0.4); it names nobody. */
export type Metrics = {
  readonly answered: (answered: Answered) => void;
  /** A refusal by its code. */
  readonly refused: (code: string) => void;
  /** A number that is read whenever somebody looks. */
  readonly watch: (gauge: WatchedNumber) => void;
  readonly contentType: string;
  readonly text: () => Promise<string>;
};

export type WatchedNumber = {
  readonly name: string;
  readonly help: string;
  readonly read: () => Promise<number>;
};

/** Metrics of one directory process. */
export function openMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'zos_directory_' });
  const requests = new Counter({
    name: 'zos_directory_requests_total',
    help: 'Requests that were answered, by route and status.',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const seconds = new Histogram({
    name: 'zos_directory_request_seconds',
    help: 'How long requests took, by route; feeds and long-polls wait on purpose.',
    labelNames: ['method', 'route'],
    buckets: SECONDS_BUCKETS,
    registers,
  });
  const refusals = new Counter({
    name: 'zos_directory_refusals_total',
    help: 'Requests that were refused, by the code of why.',
    labelNames: ['code'],
    registers,
  });
  return {
    answered: ({ method, route, status, seconds: took }) => {
      requests.inc({ method, route, status });
      seconds.observe({ method, route }, took);
    },
    refused: (code) => refusals.inc({ code }),
    watch: ({ name, help, read }) => {
      const gauge: Gauge = new Gauge({
        name: `zos_directory_${name}`,
        help,
        registers,
        // A store that is away hides its own numbers, and no others.
        collect: async () => gauge.set(await read().catch(() => Number.NaN)),
      });
    },
    contentType: registry.contentType,
    text: async () => registry.metrics(),
  };
}
