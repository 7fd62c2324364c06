import { z } from 'zod';
import { deploymentFileSchema } from './spec.ts';

/** The JSON Schema (draft 2020-12) of a deployment file, for editors; made from the one schema. */
export function deploymentJsonSchema(): string {
  const schema = z.toJSONSchema(deploymentFileSchema, { io: 'input' });
  const titled = {
    title: 'Zero-OS deployment',
    description: 'What `zos deploy` reads, in YAML or JSON.',
    ...schema,
  };
  return `${JSON.stringify(titled, null, 2)}\n`;
}
