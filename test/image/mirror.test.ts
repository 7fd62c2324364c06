import { expect, test } from 'vitest';
import { findMirror, urisOfDeb822, urisOfList } from '../../image/debian/mirror.ts';

test('the main archive is found among others in a .sources file', () => {
  const text = `# comment
Types: deb deb-src
URIs: http://mirror.example/some/debian/
Suites: trixie trixie-updates
Components: main contrib

Types: deb
URIs: http://mirror.example/debian-security
Suites: trixie-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
`;
  expect(urisOfDeb822(text)).toEqual(['http://mirror.example/some/debian/']);
});

test('the main archive is found among others in a .list file', () => {
  const text = `# deb http://off.example/debian bookworm main
deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian bookworm main non-free-firmware
deb http://tools.example/apt tools main
deb http://mirror.example/debian-security bookworm-security main
deb-src http://source.example/debian bookworm main
`;
  expect(urisOfList(text)).toEqual(['http://mirror.example/debian']);
});

test('Ubuntu lists no Debian archive', () => {
  const text = `Types: deb
URIs: http://archive.example/ubuntu
Suites: noble noble-updates
Components: main universe
`;
  expect(urisOfDeb822(text)).toEqual([]);
});

test('a mirror that was chosen is taken as it is', async () => {
  expect(await findMirror('http://chosen.example/debian/')).toBe('http://chosen.example/debian');
});
