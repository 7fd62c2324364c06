/** The client's side of the directory, as one door. */
export {
  type AdmissionAnswer,
  type ContractAnswer,
  type ContractSummary,
  type FarmAnswer,
  type NodeAnswer,
  type NodeBody,
  type Proof,
  type UpdatesAnswer,
  WAIT_MS_MAX,
} from './api.ts';
export type { NodeSigning, Signing } from './calls.ts';
export { type Client, type ClientOptions, DirectoryError, openClient } from './client.ts';
export { type Registration } from './registration.ts';
