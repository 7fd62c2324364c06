import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  checkCommandLine,
  CONSOLES,
  INITRD_ARGUMENTS,
  KERNEL_ARGUMENTS,
} from '../../src/artifact/command-line.ts';
import { ArtifactError } from '../../src/artifact/spec.ts';

const OURS: readonly string[] = [...INITRD_ARGUMENTS, ...KERNEL_ARGUMENTS, ...CONSOLES];
const PLAIN = OURS.join(' ');

function refusalOf(text: string): string {
  try {
    checkCommandLine(text);
  } catch (error) {
    expect(error).toBeInstanceOf(ArtifactError);
    expect(error).toMatchObject({
      code: 'ARGUMENT_REFUSED',
      facts: { artifact: 'kernel-command-line' },
    });
    return (error as ArtifactError).message;
  }
  return 'taken';
}

test('what each of our own loaders gives the kernel is taken', () => {
  expect(checkCommandLine(`${PLAIN}\n`)).toEqual({ loader: null });
  expect(checkCommandLine(`vmlinuz ${PLAIN} initrd=initrd.magic`)).toEqual({ loader: null });
  const grub = `BOOT_IMAGE=(tftp,10.0.0.1)/vmlinuz ${KERNEL_ARGUMENTS.join(' ')}`;
  expect(checkCommandLine(`${grub} zos.loader=network`)).toEqual({ loader: 'network' });
  expect(checkCommandLine(`${grub} zos.loader=local`)).toEqual({ loader: 'local' });
});

test.each([
  'lockdown=none',
  'lockdown=confidentiality',
  'module.sig_enforce=0',
  'init=/bin/sh',
  'rdinit=/bin/sh',
  'debug',
  'ignore_loglevel',
  'NODE_OPTIONS=--inspect',
  'LD_PRELOAD=/x.so',
  'systemd.debug-shell=1',
  'zos.loader=stick',
  'console=ttyS9',
  'initrd=evil.cpio',
  'root=/dev/sda1',
  '--',
  '"lockdown=integrity"',
  'module.sig-enforce=1',
  'LOCKDOWN=integrity',
  'kexec_load_disabled=0',
  'BOOT_IMAGE=/vmlinuz;x',
])('%s is refused by name', (argument) => {
  for (const text of [`${PLAIN} ${argument}`, `${argument} ${PLAIN}`]) {
    expect(refusalOf(text)).toContain(`"${argument}" is not on the list of this image`);
  }
});

test.each([
  ['an argument that stands there twice', `${PLAIN} quiet`, '"quiet" stands there twice'],
  ['two loaders', `${PLAIN} zos.loader=local zos.loader=network`, 'stands there twice'],
  ['two kernels', `BOOT_IMAGE=/a BOOT_IMAGE=/b ${PLAIN}`, '"BOOT_IMAGE=/b" stands there twice'],
  ['no lockdown', PLAIN.replace('lockdown=integrity', ''), '"lockdown=integrity" is missing'],
  [
    'no enforcement',
    PLAIN.replace('module.sig_enforce=1', ''),
    '"module.sig_enforce=1" is missing',
  ],
  ['nothing at all', '', 'is missing'],
  ['more than there may be', PLAIN.padEnd(1025), 'longer than 1024 bytes'],
  ['an escape sequence', `${PLAIN} \u001B[2Jquiet`, '"\uFFFD[2Jquiet" is not on the list'],
  ['a tab', PLAIN.replace(' quiet', '\tquiet'), 'is not on the list'],
  ['a second line', `${PLAIN}\nquiet`, 'is not on the list'],
  ['a letter that only looks like ours', PLAIN.replace('quiet', 'quіet'), 'is not on the list'],
])('%s is refused', (_, text, sentence) => {
  expect(refusalOf(text)).toContain(sentence);
});

test('any selection of our arguments in any order is taken, and one stranger in it is not', () => {
  const required = ['lockdown=integrity', 'module.sig_enforce=1'];
  const optional = OURS.filter((argument) => !required.includes(argument));
  const shuffled = (words: string[]) => fc.shuffledSubarray(words, { minLength: words.length });
  const own = fc.shuffledSubarray(optional).chain((some) => shuffled([...required, ...some]));
  const stranger = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
    .filter((text) => !/\s/u.test(text) && ![...OURS, 'vmlinuz'].includes(text));
  fc.assert(
    fc.property(own, stranger, fc.nat(12), (words, word, place) => {
      expect(checkCommandLine(words.join(' '))).toEqual({ loader: null });
      expect(refusalOf(words.toSpliced(place, 0, word).join(' '))).toContain('not on the list');
    }),
    { numRuns: 1000 },
  );
});
