/** The words of `zos identity … --help` and `zos team … --help`. */
export const IDENTITY_NEW = `
Example:
  $ zos identity new --name alice

The keys are written to key.json in the home folder, for your user only: whoever has them can sign
as you. The 24 words that are printed once give the identity back when the keys are lost, and take
it back when they are stolen. There is no password to reset, and nobody to ask.
`;

export const IDENTITY_ROTATE = `
Example:
  $ zos identity rotate

Every key that this machine holds is replaced by a new one. Your id stays, the recovery words stay,
and what the old keys signed runs on; from now on they sign nothing new. Read your messages first:
those that were sealed to the old key open no more.
`;

export const IDENTITY_DEVICE = `
Examples, the first and the last on the new machine:
  $ zos identity device new --name laptop > laptop.json
  $ zos identity device add laptop.json          where your keys are
  $ zos identity device join 5f3a...             your id

A device signs as you with a key of its own until you remove it, and can change nothing about your
identity:
  $ zos identity device remove laptop
`;

export const IDENTITY_RECOVER = `
Example:
  $ zos identity recover 5f3a... < words.txt

The 24 words are read from standard input. Every other key is replaced. A change that a thief made
is undone with it, when it is not older than 72 hours.
`;

export const IDENTITY_UNDO = `
Example:
  $ zos identity undo < words.txt

Takes back the newest change of your identity with the 24 words, which are read from standard input
and rank above every key that a machine holds; with --changes 2 the newest two, and so on. Within 72
hours of the first of them; after that it stands. \`zos identity show\` says how often it changed.
`;

export const TEAM = `
Examples:
  $ zos team new ops --member 5f3a... --member 91c0... --threshold 2
  $ zos team join 77de...                        the others, once
  $ zos --team ops deploy web.yaml --out web.part
  $ zos --team ops sign web.part                 the next member, until enough have signed
  $ zos team add ops 0b12...
  $ zos team remove ops 91c0...

Nobody shares a key: a team is an identity whose keys are its members' identities. Who has a new key
or device signs with that for the team too.
`;

export const SIGN = `
Example:
  $ zos --team ops sign web.part

Shows what was signed by others before you, adds your signature, and sends it once enough members
have signed.
`;
