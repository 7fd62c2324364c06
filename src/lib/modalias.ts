/** Which kernel module drives which device, as `/usr/lib/modules/index.json` holds it. */
export type ModuleIndex = {
  /** The kernel's release; modules fit no other. */
  readonly release: string;
  /** Name -> file, and what is loaded before it, in order. */
  readonly modules: Record<string, { readonly path: string; readonly needs: readonly string[] }>;
  /** `aliasKey` of the pattern -> patterns and the module each belongs to. */
  readonly aliases: Record<string, [pattern: string, module: string][]>;
};

const VENDOR = /^(?:pci:v[0-9A-F]{8}|usb:v[0-9A-F]{4}|virtio:d[0-9A-F]{8})/u;
/** `acpi*:` in a pattern stands for `acpi:` in a device. */
const BUS = /^[^:*]*/u;

/**
 * The drawer that a pattern or a device's modalias lies in: bus and vendor, or the bus alone where
 * the pattern leaves the vendor open. Thousands of patterns tried one by one take seconds.
 */
export function aliasKey(text: string): string {
  return VENDOR.exec(text)?.[0] ?? busOf(text);
}

function busOf(text: string): string {
  return `${BUS.exec(text)?.[0] ?? ''}:`;
}

/**
 * The files to load for a device's modalias (as in `/sys/.../modalias`), in order, each once. More
 * than one driver may claim a device: all of them are loaded, as the kernel's own tools do.
 */
export function modulesFor(index: ModuleIndex, modalias: string): string[] {
  const drawers = new Set([aliasKey(modalias), busOf(modalias)]);
  const patterns = [...drawers].flatMap((key) => index.aliases[key] ?? []);
  const found = patterns.filter(([pattern]) => matchesAlias(pattern, modalias));
  return filesOf(
    index,
    found.map(([, module]) => module),
  );
}

/** The files to load for modules by name, in order, each once; unknown names are left out. */
export function filesOf(index: ModuleIndex, names: readonly string[]): string[] {
  const files = new Set<string>();
  for (const name of names) {
    for (const part of [...(index.modules[name]?.needs ?? []), name]) {
      const path = index.modules[part]?.path;
      if (path !== undefined) files.add(path);
    }
  }
  return [...files];
}

/**
 * Shell patterns as in modules.alias: `*` for any text, `?` for one character, `[..]` for a set.
 */
export function matchesAlias(pattern: string, modalias: string): boolean {
  const source = pattern.replaceAll(/[.+^${}()|\\]/gu, String.raw`\$&`);
  return new RegExp(`^${source.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'u').test(modalias);
}
