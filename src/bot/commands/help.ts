import { CLASS_EXIT, EXIT } from '../errors.ts';

/** The words of `zos --help` and of each command's own help. */
export const PROGRAM = 'Runs containers on servers that nobody can log in to, by signed contracts.';

export const PROGRAM_AFTER = `
A first deployment:
  $ zos identity new                            make your keys
  $ zos --directory http://192.0.2.1:8080 nodes see what the grid has
  $ zos image web.erofs --url http://192.0.2.1/web.erofs
  $ zos deploy hello.yaml                       sign, send, follow
  $ zos logs hello/web                          read what it printed
  $ zos cancel hello                            end it

\`zos COMMAND --help\` shows each command with examples.

Exit codes:
  ${EXIT.done}    done
  ${EXIT.failed}    a container failed, or something unexpected happened
  ${EXIT.usage}    the command or the file is not right; the text says where
  ${EXIT.refused}    refused: a signature, a node or the directory said no
  ${EXIT.noRoom}    no node has the room; the text has the numbers
  ${EXIT.unreachable}    the directory or a node did not answer
  ${EXIT.alarm}    the record does not hold: \`zos record audit\` says how
  ${EXIT.interrupted}  stopped by Ctrl-C
`;

export const FARM_CREATE = `
Example:
  $ zos farm create attic
`;

export const FARM_TOKEN = `
Examples:
  $ zos farm token --count 8 --out tokens/
  $ zos farm token --valid 1h --take-blank-disks --out tokens/
  $ zos farm token --network barn.yaml --out tokens/

Give one file to the boot media of each node. A token works once, for your farm only, and not after
its time. Without --take-blank-disks a node writes to no disk and keeps everything in memory.

A network file names cards by their MAC address; cards that no file names ask DHCP and IPv6 routers:
  uplinks:
    - macs: [52:54:00:00:00:01, 52:54:00:00:00:02]   # several are bundled by LACP
      vlan: 40                                       # may be left out
      mtuBytes: 9000                                 # may be left out
      addresses: [192.0.2.7/24, 2001:db8::7/64]      # or: automatic
      gateways: [192.0.2.1, 2001:db8::1]
  nameServers: [192.0.2.53]
  proxy: http://192.0.2.80:3128                      # where nothing else can be reached
`;

export const FARM_APPROVE = `
Examples:
  $ zos farm approve 3f2a91c07be4d85516f0
  $ zos farm approve 3f2a91c07be4d85516f0 --farm green

For a machine whose boot media carry no join token: its screen waits, with its id and a QR code of
the page that shows it. Compare the id on the screen before you approve it. It goes on the record.
`;

export const NODES_ASK = `
Examples:
  $ zos node ask 3f2a91 links
  $ zos node ask 3f2a91 reach directory.example.org:443
  $ zos node ask 3f2a91 name directory.example.org
  $ zos node ask 3f2a91 route 10.1.2.3
  $ zos node ask 3f2a91 packets

clock, disks, kernel-log, links, name, packets (64 headers or ten seconds), reach and route: this is
all that can be asked, by nobody but the farmer. The node fetches the question, and only you can
read its answer. What tenants do is not shown: no tunnel's packets, no program of theirs.
`;

export const FARM_TERMS = `
Examples:
  $ zos farm terms
  $ zos farm terms --country BE --city Ghent --at 51.1,3.7
  $ zos farm terms --compute 0.0125 --storage 0.004 --network 0.01 --payout ADDRESS

Your nodes check your signature, put the prices in their offers, and sign those: no directory can
change a price. A new price is for contracts from then on; what was agreed to before stays. What you
do not name stays as you signed it last; until you sign a price, capacity is free.
`;

export const FARM_DISK = `
Examples:
  $ zos nodes show 3f0a                         its disks, with their serial numbers
  $ zos farm disk take 3f0a S4EWNX0N123456
  $ zos farm disk wipe 3f0a S4EWNX0N123456

You sign for one disk of one node. The node does it once, and never by a disk's place or name: two
disks with the same serial number are left alone. Take is for a disk that is blank from end to end
as far as the node looks; a disk that holds anything needs wipe. A disk in use is never touched.
`;

export const FARM_UPDATES = `
Examples:
  $ zos farm updates
  $ zos farm updates --window "Sun 02:00-05:00" --share 25%
  $ zos farm updates --window always

What you sign here each node checks by itself: no directory can make it update at another time. A
share is of all nodes of the farm, at least one. Until you sign a window, nodes change their agent
in place at any time, one at a time, which leaves containers alone; a new kernel, which stops them,
waits for your window.

The first node on which a release is bad, or that does not come back, stops that release in your
farm until you say otherwise.
`;

export const FARM_ROLLOUT = `
Examples:
  $ zos farm rollout stop 3f9a0c
  $ zos farm rollout resume 3f9a0c

\`zos farm updates\` shows the releases. What you sign here reaches each node: after resume, one
that found the release bad tries it once more.
`;

export const FARM_POWER = `
Examples:
  $ zos farm sleep 5f3a
  $ zos farm wake 5f3a

A node sleeps only without contracts, only when a network card of its own can wake it, and only when
another node of the farm is awake to call it. Both obey your signature and nobody else's. The time
that it slept counts neither for its uptime nor against it.
`;

export const VERIFY_NODE = `
Example:
  $ zos verify node 5f3a
  $ zos verify node 5f3a --root root.json     believe no release keys but these

The node's own TPM is asked, with a question that was never asked before, and its answer is judged
here against the signed release: the directory can only lose it.

Exit codes:
  ${CLASS_EXIT.attested}    attested: every check held
  ${EXIT.refused}    the node says attested, and a check failed
  ${CLASS_EXIT.verified}   verified, by its own word: Secure Boot is on
  ${CLASS_EXIT['loader-verified']}   loader-verified, by its own word
  ${CLASS_EXIT.unverified}   unverified
`;

export const NODES_SHOW = `
Example:
  $ zos nodes show 5f3a

What is wrong comes first, in the node's own signed words, each with what to do about it.
`;

export const NODES_EXPLAIN = `
Examples:
  $ zos node explain hello
  $ zos node explain 5f3a --graph mermaid

The node answers sealed to whoever asks: a tenant learns of its own contracts only, and the farmer
whose boot media the node has learns of the whole node, without the names that tenants gave.
`;

export const NODES = `
Examples:
  $ zos nodes
  $ zos nodes --cpu 2 --memory 4GiB --country BE --class verified
  $ zos nodes --ssd 200GiB --price 0.02 --feature tpm x86-64-v3 --online

CU and SU are the cloud units of what is free: min(max(m/4, c/2), max(m/8, c), max(m/2, c/4)) of c
processors and m GiB of memory, and h/1200 + s/200 of GiB of storage. Prices are what the node
signed, a CU, an SU and an hour each, and an NU (a GB in or out).
`;

export const DEPLOY = `
Example, hello.yaml:
  name: hello
  duration: 24h
  networks:
    net: {}
  containers:
    web:
      image:                     # printed by \`zos image\`
        sha256: 5f...            # 64 hex digits
        lengthBytes: 1064960
        sources: [http://192.0.2.1/web.erofs]
      args: [/bin/busybox, httpd, -f, -p, "80", -h, /www]
      memory: 32MiB
      network: net
    client:
      image: { sha256: 5f..., lengthBytes: 1064960, sources: [http://192.0.2.1/web.erofs] }
      args: [/bin/busybox, wget, -q, -O, "-", http://web/]
      network: net
  apart: [web, client]           # on two nodes, joined by an encrypted network

  $ zos deploy hello.yaml --dry-run
  $ zos deploy hello.yaml

Secrets are named once and sealed to the nodes that need them; nobody between sees them:
  secrets:
    password: { file: password.txt }       # or { environment: PASSWORD }
  containers:
    web:
      secrets: [password]                  # the file /run/secrets/password
      secretEnv: { PASSWORD: password }    # a variable

Volumes are disks of their own, encrypted under a key that is made here and sealed to their node:
  volumes:
    data: { size: 10GiB }                  # class: ssd | hdd, format: ext4 | xfs | btrfs | raw
  containers:
    web:
      volumes: { data: /run/data }         # a folder of the image, or below /run or /tmp

Containers of one network find each other by name. Deploying the same name again changes what runs:
containers stay on their nodes where they can, and only what changed is replaced. Volumes stay where
they are and can grow; none is erased unless it is named with --erase.
The editor completes the file with the schema of \`zos schema\`.
`;

export const RENEW = `
Example:
  $ zos renew hello --for 7d

Every contract of the deployment is signed again with a later end; its containers go on as they are.
Secrets need not be given again. Where a node asks another price now, nothing is signed.
`;

export const LOGS = `
Examples:
  $ zos logs hello/web
  $ zos logs hello/web --follow

Your question is signed, the node fetches it, and seals the answer to your key: nobody on the way
can read it. It holds the newest 64 KiB.
`;

export const IMAGE = `
Example:
  $ mkfs.erofs -zlz4 web.erofs rootfs/
  $ zos image web.erofs --url http://192.0.2.1/web.erofs

Nodes fetch the file from any of the addresses, and run it only when its hash and length match.
`;

export const SCHEMA = `
Example:
  $ zos schema > deployment.schema.json

and as the first line of a deployment file:
  # yaml-language-server: $schema=deployment.schema.json
`;

export const WITNESS = `
Examples:
  $ zos witness --data ./witness --listen 192.0.2.7:8100
  $ zos witness --data ./witness --log 'dev.zos/record+1a2b3c4d+AS...'

It prints its verifier key, which the directory and everybody's policy name it by. A log may be
named while it runs, by the second command. It signs a log's new checkpoint only when that holds all
that it signed before, and only after it is on the disk (c2sp.org/tlog-witness).
`;

export const RECORD_AUDIT = `
Examples:
  $ zos record audit
  $ zos record audit --follow --json

It reads the record from where it left it, rebuilds the tree, and checks that enough witnesses saw
it, that it holds all that was seen before, that what stands behind every entry is served, has the
entry's hash and is signed, that no number for a node is missing, and that what nodes say in their
own signed heartbeats agrees. It remembers in record.sqlite of --home how far it came.

Exit codes:
  ${EXIT.done}    everything holds
  ${EXIT.alarm}    an alarm: a fork, a way back, something missing, withheld or swapped
  ${EXIT.unreachable}    the directory did not answer
`;

export const RECORD_VERIFY = `
Examples:
  $ curl -o contract.tlog-proof http://192.0.2.1:8080/record/proof/5f...
  $ zos record verify contract.tlog-proof --policy policy.txt

A proof is checked with nobody to ask. Of an envelope, the proof is fetched from the directory.
`;
