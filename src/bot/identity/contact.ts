import { serviceSchema } from '../../identity/bundle.ts';
import { BotError } from '../errors.ts';
import { answer, type World } from '../world.ts';
import { changeSelf } from './identity.ts';

/** `zos identity service add`: says in the identity where it can be reached for something. */
export async function addService(world: World, wish: { name: string; url: string }): Promise<void> {
  const parsed = serviceSchema.safeParse(wish);
  if (!parsed.success) {
    const rule = 'a name of letters, digits and dashes, and an address as in https://HOST/PATH';
    throw new BotError('USAGE', `${wish.name} ${wish.url} is no service; write ${rule}.`);
  }
  const service = parsed.data;
  const { identity, document } = await changeSelf(world, ({ newest }) => ({
    services: [...(newest?.services ?? []).filter(({ name }) => name !== service.name), service],
  }));
  answer(world, { id: identity.id, document }, `${service.name} is at ${service.url}.\n`);
}

/** `zos identity service remove`: it can't be reached there any more. */
export async function removeService(world: World, name: string): Promise<void> {
  const { identity, document } = await changeSelf(world, ({ newest }) => {
    const services = (newest?.services ?? []).filter((service) => service.name !== name);
    if (services.length < (newest?.services.length ?? 0)) return { services };
    throw new BotError('USAGE', `There is no service ${name}; see \`zos identity show\`.`);
  });
  answer(world, { id: identity.id, document }, `${name} is taken out.\n`);
}
