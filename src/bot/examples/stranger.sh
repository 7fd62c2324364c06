# A stranger's check: follows one contract from its envelope to a checkpoint that witnesses signed,
# with none of our software: only curl, sha256sum, openssl and the coreutils.
#
#   sh stranger.sh DIRECTORY CONTRACT POLICY
#   sh stranger.sh http://192.0.2.1:8080 5f0c... policy.txt
#
# CONTRACT is the SHA-256 of a payload: a contract's id for its first version. POLICY is a file in
# the format of c2sp.org/tlog-policy: the log's key, the witnesses' keys and how many are needed.
# Have it from where you trust it, such as the signed grid.json of a release; the directory, which
# everything else comes from, is not trusted with anything.
set -eu
export LC_ALL=C

fail() {
  echo "stranger: $*" >&2
  exit 1
}

[ $# -eq 3 ] || fail 'use: stranger.sh DIRECTORY CONTRACT POLICY'
directory=${1%/}
digest=$2
policy=$3
[ -r "$policy" ] || fail "the policy $policy can't be read"
[ ${#digest} -eq 64 ] || fail 'a contract is named by 64 hex digits'
case $digest in *[!0-9a-f]*) fail 'a contract is named by 64 hex digits' ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

get() {
  curl --silent --show-error --fail --max-time 30 --max-filesize 1000000 \
    --output "$work/$2" "$directory/record/$1" || fail "the directory has no $1"
}
unhex() { printf %s "$1" | tr a-f A-F | basenc --base16 --decode; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
unbase64() { printf %s "$1" | base64 --decode; }
sha256() { sha256sum | cut -c1-64; }
# field NAME JSON: the first string under that name.
field() {
  case $2 in *"\"$1\":\""*) ;; *) fail "there is no $1 where one has to be" ;; esac
  found=${2#*"\"$1\":\""}
  printf %s "${found%%\"*}"
}
# holds KEY SIGNATURE FILE: whether the Ed25519 key (64 hex digits) signed the file.
holds() {
  unhex "302a300506032b6570032100$1" >"$work/key.der"
  unhex "$2" >"$work/signature"
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key.der" -rawin \
    -in "$3" -sigfile "$work/signature" >/dev/null 2>&1
}

# 1. The envelope: the contract is what has this hash.
get "envelope/$digest" envelope
envelope=$(cat "$work/envelope")
type=$(field payloadType "$envelope")
unbase64 "$(field payload "$envelope")" >"$work/payload"
[ "$(sha256 <"$work/payload")" = "$digest" ] || fail 'the envelope holds something else'
echo "1. The payload of the envelope has the hash $digest."

# 2. Its tenant signed it. A tenant's id is the hash of its document, which names its keys.
payload=$(cat "$work/payload")
tenant=$(field tenant "$payload")
get "envelope/$tenant" identity
unbase64 "$(field payload "$(cat "$work/identity")")" >"$work/document"
[ "$(sha256 <"$work/document")" = "$tenant" ] || fail 'the document is of somebody else'
document=$(cat "$work/document")
keys=${document#*'"signingKeys":["'}
key=$(unbase64 "${keys%%\"*}" | hex)
signature=$(unbase64 "$(field sig "$envelope")" | hex)
{
  printf 'DSSEv1 %s %s %s ' "${#type}" "$type" "$(wc -c <"$work/payload" | tr -d ' ')"
  cat "$work/payload"
} >"$work/signed"
holds "$key" "$signature" "$work/signed" || fail "$tenant did not sign it"
echo "2. Its tenant $tenant signed it."

# 3. The proof: the entry that commits to the hash, its place, and the way up to the root.
get "proof/$digest" proof
hashes=
{
  read -r line
  [ "$line" = c2sp.org/tlog-proof@v1 ] || fail 'that is no proof'
  read -r word extra
  [ "$word" = extra ] || fail 'the proof does not say which entry it is of'
  read -r word index
  [ "$word" = index ] || fail 'the proof has no index'
  while read -r line && [ -n "$line" ]; do hashes="$hashes $line"; done
  cat >"$work/checkpoint"
} <"$work/proof"
case $index in '' | *[!0-9]*) fail 'the index is no number' ;; esac
unbase64 "$extra" >"$work/entry"
entry=$(cat "$work/entry")
case $entry in
"$type $digest" | "$type $digest "*) ;;
*) fail 'the proof is of another entry' ;;
esac
echo "3. Entry $index of the record is: $entry"

# The checkpoint: its text up to the empty line, then the signatures.
: >"$work/text"
{
  read -r origin
  read -r size
  read -r root
  printf '%s\n%s\n%s\n' "$origin" "$size" "$root" >>"$work/text"
  while read -r line && [ -n "$line" ]; do printf '%s\n' "$line" >>"$work/text"; done
  cat >"$work/signatures"
} <"$work/checkpoint"
case $size in '' | *[!0-9]*) fail 'the size is no number' ;; esac

# 4. From the leaf to the root (RFC 9162, section 2.1.3.2).
[ "$index" -lt "$size" ] || fail 'the entry stands outside of the tree'
hash=$({ printf '\000' && cat "$work/entry"; } | sha256)
first=$index
last=$((size - 1))
for sibling in $hashes; do
  [ "$last" -gt 0 ] || fail 'the proof is too long'
  sibling=$(unbase64 "$sibling" | hex)
  if [ $((first % 2)) -eq 1 ] || [ "$first" -eq "$last" ]; then
    hash=$(unhex "01$sibling$hash" | sha256)
    while [ $((first % 2)) -eq 0 ] && [ "$first" -ne 0 ]; do
      first=$((first / 2)) last=$((last / 2))
    done
  else
    hash=$(unhex "01$hash$sibling" | sha256)
  fi
  first=$((first / 2)) last=$((last / 2))
done
[ "$last" -eq 0 ] || fail 'the proof is too short'
[ "$hash" = "$(unbase64 "$root" | hex)" ] || fail 'the proof leads to another root'
echo "4. It stands in the tree of $size entries with the root $root."

# signed_by VERIFIER-KEY TYPE: the bytes of its signature on this checkpoint, after the key's id.
signed_by() {
  signer=${1%%+*}
  id=${1#*+}
  bytes=$(unbase64 "${id#*+}" | hex)
  id=${id%%+*}
  [ "${bytes%"${bytes#??}"}" = "$2" ] || fail "the key of $signer is of another kind"
  key=${bytes#??}
  blob=
  while read -r _ by base64; do
    [ "$by" = "$signer" ] || continue
    bytes=$(unbase64 "$base64" | hex)
    case $bytes in "$id"*) blob=${bytes#"$id"} ;; esac
  done <"$work/signatures"
  [ -n "$blob" ]
}

# 5. and 6. The log signed the checkpoint, and enough of the witnesses did.
seen=' '
log=
quorum=
while read -r word name rest; do
  case $word in
  log)
    [ "${name%%+*}" = "$origin" ] && signed_by "$name" 01 || continue
    holds "$key" "$blob" "$work/text" || fail "the signature of $origin does not hold"
    log=$origin
    echo "5. $origin signed it."
    ;;
  witness)
    vkey=${rest%% *}
    signed_by "$vkey" 04 || continue
    time=$(printf %s "$blob" | cut -c1-16)
    seconds=$((0x$time))
    { printf 'cosignature/v1\ntime %s\n' "$seconds" && cat "$work/text"; } >"$work/cosigned"
    holds "$key" "${blob#"$time"}" "$work/cosigned" || fail "${vkey%%+*} did not sign it"
    seen="$seen$name "
    echo "6. ${vkey%%+*} saw it at $(date -u -d "@$seconds" '+%Y-%m-%d %H:%M:%S') UTC."
    ;;
  group)
    needed=${rest%% *}
    members=${rest#* }
    count=0
    all=0
    for member in $members; do
      all=$((all + 1))
      case $seen in *" $member "*) count=$((count + 1)) ;; esac
    done
    case $needed in any) needed=1 ;; all) needed=$all ;; esac
    [ "$count" -lt "$needed" ] || seen="$seen$name "
    ;;
  quorum) quorum=$name ;;
  esac
done <"$policy"
[ -n "$log" ] || fail 'the log of the policy has not signed this checkpoint'
[ -n "$quorum" ] || fail 'the policy has no quorum'
case "$seen none " in
*" $quorum "*) ;;
*) fail 'too few witnesses have seen this checkpoint' ;;
esac
echo 'Everything holds: whoever trusts these keys sees this contract on the record.'
