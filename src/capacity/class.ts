import { NODE_CLASSES, type NodeClass } from './spec.ts';

/** What the kernel says of this boot. */
export type BootFacts = {
  /** Whether firmware checked a signature over what it started (UEFI Secure Boot). */
  readonly isSecureBoot: boolean;
  /** Read back from the kernel: `none`, `integrity`, `confidentiality` or `unknown`. */
  readonly lockdown: string;
  /** Where the loader that checked kernel and first stage came from, where one did. */
  readonly loader: 'local' | 'network' | null;
};

/** Whether the TPM's word was proven, and if not, why. */
export type Proof = { readonly isProven: true } | { readonly isProven: false; because: string };

export type FoundClass = {
  readonly class: NodeClass;
  /** Why it is not a higher one; empty for the highest. */
  readonly because: string;
};

/**
 * The class of a boot by what the machine itself can tell. Only `attested` can be proven to anybody
 * else; of the others a node that lies could say the same.
 */
export function findClass(facts: BootFacts, proof: Proof): FoundClass {
  const { isSecureBoot, lockdown, loader } = facts;
  const isLocked = lockdown === 'integrity' || lockdown === 'confidentiality';
  const unlocked = `the kernel is not locked down (lockdown ${lockdown})`;
  if (isSecureBoot) {
    if (!isLocked) return { class: 'unverified', because: unlocked };
    if (proof.isProven) return { class: 'attested', because: '' };
    return { class: 'verified', because: proof.because };
  }
  if (loader !== 'local') {
    const because =
      loader === null
        ? 'Secure Boot is off, and nothing before the kernel was checked'
        : 'Secure Boot is off, and the loader came over the network unchecked';
    return { class: 'unverified', because };
  }
  if (!isLocked) return { class: 'unverified', because: unlocked };
  return { class: 'loader-verified', because: 'Secure Boot is off or not there' };
}

/**
 * The class that others may count on: `attested` only when it was proven to whoever asks, since
 * every node can sign that it is.
 */
export function countedClass(offered: NodeClass, isProven: boolean): NodeClass {
  return offered === 'attested' && !isProven ? 'verified' : offered;
}

/** Whether a node of one class is good for what requires another. */
export function isClassEnough(has: NodeClass, required: NodeClass): boolean {
  return NODE_CLASSES.indexOf(has) <= NODE_CLASSES.indexOf(required);
}
