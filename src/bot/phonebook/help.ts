/** What stands below the options of `zos name claim`. */
export const NAME_CLAIM = `
Example:
  $ zos name claim alice

The claim is signed by you and recorded: the first on the record has the name, for ever, unless it
is released. An identity holds 16 names at most.
`;

/** What stands below the options of `zos name find`. */
export const NAME_FIND = `
Example:
  $ zos name find alice

Every claim of the name is checked here: who signed it, that it follows the one before, and that it
stands on the record that the witnesses saw. Whose a name was is remembered; a directory that shows
another history later is refused.
`;

/** What stands below the options of `zos message send`. */
export const MESSAGE_SEND = `
Examples:
  $ echo "the door code is 1234" | zos message send alice
  $ zos message send alice < letter.txt

It is signed by you, sealed to its reader and padded to one of four sizes. The directory sees for
whom it is, its size and when; it keeps it for a week, or until it is read.
`;

/** What stands below the options of `zos message read`. */
export const MESSAGE_READ = `
Example:
  $ zos message read --json

A message that was read before, that was written to somebody else, or that is older than two weeks
is not shown, and said on standard error with the reason.
`;
