// Set-up for a machine that has Node.js 20 or newer and nothing else of ours: plain JavaScript with
// no package, as it is what fetches them. The second run finds nothing to do and says nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Every system package that a command of this repository uses, each with its reason. */
const SYSTEM_PACKAGES = {
  binutils: 'strip, for the Node that goes into the image',
  'ca-certificates': 'whom npm may trust',
  crun: 'tests that run containers on this kernel',
  'debian-archive-keyring': 'the keys that sign Debian’s package index',
  'dhcpcd-base': 'tests that lease an address on this kernel',
  'dnsmasq-base': 'DHCP and TFTP for machines that boot',
  dosfstools: 'the FAT on a stick that UEFI reads',
  dpkg: 'unpacks the packages that the image is made of',
  e2fsprogs: 'tests that make a data disk',
  efitools: 'the form in which firmware takes keys of Secure Boot',
  'erofs-utils': 'tests of PID 1 with two systems',
  gcc: 'the compiler behind musl-gcc',
  gpgv: 'checks the signature on Debian’s package index',
  ipxe: 'what real servers load first, where their firmware is older than iPXE',
  'ipxe-qemu': 'the network card’s boot ROM in QEMU',
  iproute2: 'namespaces, bridges and taps of the lab',
  kmod: 'loads the modules that tests on this kernel use',
  mtools: 'copies files into it, without mounting it',
  'musl-tools': 'PID 1, a static program',
  nftables: 'tests of the firewall on this kernel',
  nmap: 'scans a running node for open ports',
  openssl: 'the keys of Secure Boot',
  ovmf: 'the UEFI firmware of machines in QEMU, with Secure Boot',
  procps: 'tests that compare processes before and after',
  'qemu-system-x86': 'the nodes, where there is no hardware',
  sbsigntool: 'signs what firmware starts',
  swtpm: 'the TPM 2.0 of machines in QEMU',
  'swtpm-tools': 'makes such a TPM, with endorsement keys that a maker certifies',
  tcpdump: 'reads the wire between two nodes in a test',
  'util-linux': 'mounts and namespaces in tests',
  'wireguard-tools': 'tests of tunnels on this kernel',
  xorriso: 'discs, for management boards',
  'xz-utils': 'unpacks Debian’s package index and packages',
};

/** What only tests use, and what weighs most: `--tests` asks for it. */
const TEST_PACKAGES = {
  chromium: 'the browser that a test checks signatures in',
  curl: "the stranger's check of the record, with nothing of ours",
  'zbar-tools': 'reads the QR code off a picture of the screen, as a phone does',
  postgresql: 'the directory’s second store, which tests start themselves',
};

const NODE_MAJOR_MIN = 20;
const packages = process.argv.includes('--tests')
  ? { ...SYSTEM_PACKAGES, ...TEST_PACKAGES }
  : SYSTEM_PACKAGES;
const DISK_BYTES_MIN = 4 * 1024 ** 3;

/** Ends with one sentence that says what is missing and how to get it. */
function refuse(sentence) {
  console.error(sentence);
  process.exit(1);
}

function checkMachine() {
  if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR_MIN) {
    refuse(`This is Node.js ${process.versions.node}; install version ${NODE_MAJOR_MIN} or newer.`);
  }
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const ids = [...release.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap((m) =>
    m[1].split(' '),
  );
  if (process.arch !== 'x64' || !ids.some((id) => id === 'debian' || id === 'ubuntu')) {
    refuse('Zero-OS is built on Debian or Ubuntu on x86-64; run this on such a machine.');
  }
  const disk = statfsSync(ROOT);
  if (disk.bavail * disk.bsize < DISK_BYTES_MIN) {
    const gib = ((disk.bavail * disk.bsize) / 1024 ** 3).toFixed(1);
    refuse(`Only ${gib} GiB are free on the disk of ${ROOT}; make room for 4 GiB.`);
  }
}

function missingPackages() {
  const names = Object.keys(packages);
  const format = '${Package} ${db:Status-Status}\n';
  const { stdout } = spawnSync('dpkg-query', ['-W', `-f=${format}`, ...names], {
    encoding: 'utf8',
  });
  return names.filter((name) => !stdout.split('\n').includes(`${name} installed`));
}

function installSystemPackages() {
  const missing = missingPackages();
  if (missing.length === 0) return;
  const isRoot = process.getuid() === 0;
  const hasSudo = spawnSync('sudo', ['--version']).status === 0;
  if (!isRoot && !hasSudo) {
    refuse(`Installing ${missing.join(', ')} needs root; run the same command as root.`);
  }
  for (const name of missing) console.log(`set-up: ${name}: ${packages[name]}`);
  const apt = (...args) => {
    const words = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', '-y', ...args];
    return run(isRoot ? words : ['sudo', ...words]);
  };
  // The lists may be old or none; a source that is down matters only if it had what is missing.
  const isUpdated = apt('update');
  if (!apt('install', '--no-install-recommends', ...missing)) {
    refuse(
      isUpdated
        ? `apt-get could not install ${missing.join(', ')}; its message above says why.`
        : 'apt-get reached no package source; check the network and /etc/apt/sources.list*.',
    );
  }
}

/** Whether the installed packages are those of the lock, by version and hash. */
function isInstalled() {
  const installedPath = join(ROOT, 'node_modules/.package-lock.json');
  if (!existsSync(installedPath)) return false;
  const { packages: locked } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const { packages: installed } = JSON.parse(readFileSync(installedPath, 'utf8'));
  return Object.entries(locked).every(([path, { version, integrity, optional }]) => {
    const have = installed[path];
    if (path === '' || (have === undefined && optional === true)) return true;
    const isSame = have?.version === version && have?.integrity === integrity;
    return isSame && existsSync(join(ROOT, path, 'package.json'));
  });
}

function installNpmPackages() {
  if (isInstalled()) return;
  console.log('set-up: npm packages, by the lock file');
  // What npm says of this Node's version is beside the point: they run on the Node that is one of
  // them. No install script runs (.npmrc).
  if (!run(['npm', 'ci', '--loglevel=error', '--no-progress'])) {
    refuse('npm could not install its packages; check the network, then run the same command.');
  }
}

/** Runs a command and says whether it went well; what it printed is shown only when it did not. */
function run([file, ...args]) {
  const { status, stdout, stderr } = spawnSync(file, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 ** 2,
    // A password for sudo is asked on the terminal itself, not through these.
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (status !== 0) console.error(`${stdout ?? ''}${stderr ?? ''}`.trim());
  return status === 0;
}

checkMachine();
installSystemPackages();
installNpmPackages();
