/** What `zos directory --help` teaches. */
export const HELP = `Usage: zos directory --listen HOST:PORT --grid NAME --data FOLDER [options]
       zos directory backup --to FILE --data FOLDER
       zos directory restore --from FILE --data FOLDER

Farms, nodes, capacity, contracts and their record, for one grid. Nobody has to trust it: nodes and
bots check each signature and each place on the record by themselves.

Options:
  --listen HOST:PORT    where it answers; without it, its keys are made and told, and that is all
  --grid NAME           the grid that it is for: a-z, 0-9, dashes
  --data FOLDER         its database, keys and tiles; made when it is not there
  --witness "KEY URL"   who has to see the record, as \`zos witness\` prints it; may be repeated
  --quorum COUNT        how many of them have to; all but one unless told
  --root FILE           the root.json of the releases that its nodes boot
  --metrics HOST:PORT   where Prometheus asks for /metrics; nowhere unless told
  --store URL           PostgreSQL in place of SQLite, as postgres://USER@HOST/DATABASE; a password
                        belongs into the file that PGPASSFILE names
  --keys FOLDER         with --store: the keys, which all processes of one database share
  --tiles FOLDER        with --store: the record's tiles, which they share too

A grid of one machine, with one witness:
  $ zos directory --grid dev --data ./directory            # prints the log's key
  $ zos witness --data ./witness --listen 127.0.0.1:8091 --log "LOG KEY"
  $ zos directory --grid dev --data ./directory --listen 127.0.0.1:8080 \\
      --witness "WITNESS KEY http://127.0.0.1:8091"

A backup is made while the directory runs, and holds no keys: copy "keys" and "log.key" apart. It is
restored into an empty store of either kind, so it is also the way from SQLite to PostgreSQL.

Exit codes:
  0  ended by SIGTERM or Ctrl-C       4  another directory runs on it, or it is of another grid
  1  something unexpected happened    5  keys, folder or root can't be used
  2  the arguments are not right      6  the store can't be used
  3  the address can't be used        7  the backup can't be used
`;
