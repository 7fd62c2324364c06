import { sha256Hex, utf8 } from '../../src/lib/bytes.ts';
import type { PackagePin, Pins } from '../debian/pins.ts';
import type { BilledFile, BilledNpm } from './contents.ts';

const UNKNOWN = 'NOASSERTION';

export type Bill = {
  readonly version: string;
  readonly pins: Pins;
  readonly files: readonly BilledFile[];
  readonly npm: readonly BilledNpm[];
};

type SpdxPackage = {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo: string;
  readonly downloadLocation: string;
  readonly filesAnalyzed: false;
  readonly licenseConcluded: string;
  readonly licenseDeclared: string;
  readonly copyrightText: string;
  readonly supplier?: string;
  readonly checksums?: readonly Checksum[];
  readonly externalRefs?: readonly ExternalRef[];
};

type Checksum = { readonly algorithm: 'SHA1' | 'SHA256'; readonly checksumValue: string };

type ExternalRef = {
  readonly referenceCategory: 'PACKAGE-MANAGER';
  readonly referenceType: 'purl';
  readonly referenceLocator: string;
};

type SpdxFile = {
  readonly SPDXID: string;
  readonly fileName: string;
  readonly checksums: readonly Checksum[];
  readonly licenseConcluded: string;
  readonly copyrightText: string;
};

type Relationship = {
  readonly spdxElementId: string;
  readonly relationshipType: 'DESCRIBES' | 'CONTAINS' | 'GENERATED_FROM';
  readonly relatedSpdxElement: string;
};

export type Sbom = {
  readonly spdxVersion: 'SPDX-2.3';
  readonly dataLicense: 'CC0-1.0';
  readonly SPDXID: 'SPDXRef-DOCUMENT';
  readonly name: string;
  readonly documentNamespace: string;
  readonly creationInfo: { readonly created: string; readonly creators: readonly string[] };
  readonly packages: readonly SpdxPackage[];
  readonly files: readonly SpdxFile[];
  readonly relationships: readonly Relationship[];
};

/**
 * The image's bill of materials as SPDX 2.3 (ISO/IEC 5962): every program file with its package,
 * every npm package in the executable. Its time is that of the pinned index: same image, same bill.
 */
export function makeSbom(bill: Bill): Sbom {
  const { pins, version } = bill;
  const own = { ...packageOf('zero-os', version), licenseDeclared: 'Apache-2.0' };
  const node = packageOf('node', pins.node.version, checksumsOf(pins.node.sha256));
  const used = [...new Set(bill.files.map((file) => file.package))].filter(
    (name) => name !== 'zero-os',
  );
  const debian = used.toSorted().map((name) => debianPackage(name, pins.packages[name]));
  const npm = bill.npm.map(npmPackage);
  const files = bill.files.map(fileOf);
  const parts = [...debian, node, ...npm];
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `zero-os-${version}`,
    documentNamespace: `urn:zero-os:sbom:${sha256Hex(utf8(JSON.stringify([files, parts])))}`,
    creationInfo: { created: secondsOf(pins.release.date), creators: ['Tool: zero-os-image'] },
    packages: [own, ...parts],
    files,
    relationships: [
      relate('SPDXRef-DOCUMENT', 'DESCRIBES', own.SPDXID),
      ...parts.map((part) => relate(own.SPDXID, 'CONTAINS', part.SPDXID)),
      ...bill.files.map((file) => relate(idOf('file', file.path), 'GENERATED_FROM', homeOf(file))),
    ],
  };
}

function homeOf(file: BilledFile): string {
  return idOf('package', file.package);
}

function fileOf(file: BilledFile): SpdxFile {
  return {
    SPDXID: idOf('file', file.path),
    fileName: `.${file.path}`,
    checksums: [
      { algorithm: 'SHA1', checksumValue: file.sha1 },
      { algorithm: 'SHA256', checksumValue: file.sha256 },
    ],
    licenseConcluded: UNKNOWN,
    copyrightText: UNKNOWN,
  };
}

function debianPackage(name: string, pin: PackagePin | undefined): SpdxPackage {
  const version = pin?.version ?? UNKNOWN;
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=amd64`;
  const checksums = pin === undefined ? [] : checksumsOf(pin.sha256).checksums;
  return {
    ...packageOf(name, version),
    ...purlOf(purl),
    supplier: 'Organization: Debian',
    checksums,
  };
}

function npmPackage({ name, version, license }: BilledNpm): SpdxPackage {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const SPDXID = idOf('npm', `${name}-${version}`);
  return { ...packageOf(name, version), SPDXID, licenseDeclared: license, ...purlOf(purl) };
}

function packageOf(
  name: string,
  versionInfo: string,
  more: Partial<SpdxPackage> = {},
): SpdxPackage {
  return {
    SPDXID: idOf('package', name),
    name,
    versionInfo,
    downloadLocation: UNKNOWN,
    filesAnalyzed: false,
    licenseConcluded: UNKNOWN,
    licenseDeclared: UNKNOWN,
    copyrightText: UNKNOWN,
    ...more,
  };
}

function checksumsOf(sha256: string): { checksums: readonly Checksum[] } {
  return { checksums: [{ algorithm: 'SHA256', checksumValue: sha256 }] };
}

function purlOf(referenceLocator: string): { externalRefs: readonly ExternalRef[] } {
  return {
    externalRefs: [
      { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator },
    ],
  };
}

/** SPDX ids hold letters, digits, dots and dashes only; a hash keeps two that look alike apart. */
function idOf(kind: string, name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9.-]+/gu, '-').replace(/^-/u, '');
  return `SPDXRef-${kind}-${plain}-${sha256Hex(utf8(name)).slice(0, 8)}`;
}

function relate(
  spdxElementId: string,
  relationshipType: Relationship['relationshipType'],
  relatedSpdxElement: string,
): Relationship {
  return { spdxElementId, relationshipType, relatedSpdxElement };
}

/** SPDX times have whole seconds. */
function secondsOf(date: string): string {
  return date.replace(/\.\d+Z$/u, 'Z');
}
