import { type Envelope, openEnvelope, parsePayload } from '../identity/envelope.ts';
import type { IdentityBundle } from '../identity/bundle.ts';
import { type Identity, verifyIdentity } from '../identity/document.ts';
import { AUTOMATIC, type NetworkSettings, networkSchema, UplinkError } from './spec.ts';
import type { UplinkSettings } from './spec.ts';

/**
 * Settings that the farmer of the boot media signed for this grid. Throws `UplinkError`,
 * `EnvelopeError` or `JsonError`.
 */
export function verifyNetwork(
  envelope: Envelope,
  context: { readonly farmer: Identity; readonly grid: string },
): NetworkSettings {
  const { farmer, grid } = context;
  const settings = parsePayload(openEnvelope(envelope, 'network', farmer.keys), networkSchema);
  if (settings.farmer !== farmer.id || settings.grid !== grid) {
    throw new UplinkError(
      'SETTINGS_FOREIGN',
      `These network settings are of another farmer, or grid (${settings.grid}); here is ${grid}.`,
    );
  }
  return settings;
}

/**
 * The settings that boot media carry, or what goes without being said when they carry none. Throws
 * as `verifyNetwork` does.
 */
export function settingsOfMedia(media: {
  readonly grid: string;
  readonly farmer: IdentityBundle | null;
  readonly network?: Envelope | undefined;
}): UplinkSettings {
  const { grid, farmer, network } = media;
  if (network === undefined) return AUTOMATIC;
  if (farmer === null) {
    const sentence = 'These network settings come without the farmer who signed them.';
    throw new UplinkError('SETTINGS_FOREIGN', sentence);
  }
  return verifyNetwork(network, { farmer: verifyIdentity(farmer), grid });
}
