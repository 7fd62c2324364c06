import { z } from 'zod';

/** Of the last minute, in hundredths of a percent: the time in which some work waited for it. */
const pressureSchema = z.int().min(0).max(10_000);
const bytesSchema = z.int().min(0);

export const metricsSchema = z.strictObject({
  /** Of all processors since the sign of life before, in thousandths. */
  busyPermille: z.int().min(0).max(1000),
  /** Pressure stall information (psi.rst of the kernel); none from a kernel without it. */
  pressure: z
    .strictObject({ cpu: pressureSchema, memory: pressureSchema, io: pressureSchema })
    .nullable(),
  /** Of the data disk, and what went to and from all disks since the machine started. */
  disk: z.strictObject({
    lengthBytes: bytesSchema,
    freeBytes: bytesSchema,
    readBytes: bytesSchema,
    writtenBytes: bytesSchema,
  }),
  /** Over all network cards since the machine started. */
  network: z.strictObject({ receivedBytes: bytesSchema, sentBytes: bytesSchema }),
  containers: z.int().min(0),
  /** What the agent itself takes. */
  agent: z.strictObject({
    memoryBytes: bytesSchema,
    descriptors: z.int().min(0),
    timers: z.int().min(0),
  }),
});
/** How busy a node is, as its kernel counts. */
export type Metrics = z.infer<typeof metricsSchema>;
