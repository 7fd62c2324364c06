import { createIdentity, readSelf, type Self } from '../store.ts';
import { answer, type World } from '../world.ts';

/** `zos identity new`: makes keys that never leave this machine. */
export async function newIdentity(world: World, name: string): Promise<void> {
  const self = await createIdentity(world.home, name);
  const text = [
    `Made the identity ${self.identity.name}.`,
    describe(self),
    `Keys: ${world.home.path}/key.json; keep a copy, nobody can make them again.`,
    '',
  ];
  answer(world, valueOf(self), text.join('\n'));
}

/** `zos identity show`: what others may know of it. */
export async function showIdentity(world: World): Promise<void> {
  const self = await readSelf(world.home);
  answer(world, valueOf(self), `Name: ${self.identity.name}\n${describe(self)}\n`);
}

function describe({ identity }: Self): string {
  return `Id:   ${identity.id}`;
}

function valueOf({ identity, document }: Self): unknown {
  return { id: identity.id, name: identity.name, document };
}
