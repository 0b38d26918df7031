#!/bin/sh
# Checks a sealed run with public tools alone: sh check.sh RUN.assay lab.pub [tsa-root.pem]
# It needs unzip, sha256sum, jq, openssl and xxd, and nothing of assay.
set -eu
run=$(realpath "$1") key=$(realpath "$2") root=${3:+$(realpath "$3")}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unzip -q "$run"

# 1. Each file is what its name says, and what a record says.
for f in files/*; do [ "$(sha256sum <"$f" | cut -d' ' -f1)" = "${f#files/}" ] || { echo "FAIL $f"; exit 1; }; done
jq -r 'select(.kind=="artefact").body.sha256' journal.jsonl | sort -u | while read -r d; do [ -f "files/$d" ] || { echo "FAIL files/$d is missing"; exit 1; }; done

# 2. Each line of the journal names the one before it.
prev=$(printf '%064d' 0)
while IFS= read -r line; do
  [ "$(printf %s "$line" | jq -r .prev)" = "$prev" ] || { echo "FAIL journal: $line"; exit 1; }
  prev=$(printf %s "$line" | sha256sum | cut -d' ' -f1)
done <journal.jsonl

# 3. The tree (RFC 6962): a leaf is SHA-256(0x00 line or file), a node SHA-256(0x01 left right).
leaf() { { printf '\000'; cat; } | sha256sum | cut -d' ' -f1; }
{ while IFS= read -r line; do printf %s "$line" | leaf; done <journal.jsonl
  jq -r 'select(.kind=="artefact").body.sha256' journal.jsonl | awk '!seen[$0]++' | while read -r d; do leaf <"files/$d"; done
} >leaves
jq -r '.leaves[]' tree.json | cmp - leaves || { echo "FAIL leaves"; exit 1; }
mth() { # first line, number of lines
  if [ "$2" = 1 ]; then sed -n "$1p" leaves; return; fi
  k=1; while [ $((k * 2)) -lt "$2" ]; do k=$((k * 2)); done
  set -- "$1" "$2" "$k" "$(mth "$1" "$k")"
  set -- "$4" "$(mth $(($1 + $3)) $(($2 - $3)))"
  { printf '\001'; printf %s "$1$2" | xxd -r -p; } | sha256sum | cut -d' ' -f1
}
top=$(mth 1 "$(wc -l <leaves)")
[ "$top" = "$(jq -r .root tree.json)" ] || { echo "FAIL root"; exit 1; }

# 4. The seal (DSSE) is signed under the key that you brought, and about this root.
seal=seal/statement.sigstore.json
jq -r .dsseEnvelope.payload $seal | base64 -d >payload
jq -r '.dsseEnvelope.signatures[0].sig' $seal | base64 -d >sig
typ=$(jq -r .dsseEnvelope.payloadType $seal)
{ printf 'DSSEv1 %d %s %d ' "${#typ}" "$typ" "$(wc -c <payload)"; cat payload; } >pae
openssl dgst -sha256 -verify "$key" -signature sig pae
[ "$(jq -r '.subject[0].digest.sha256' payload)" = "$top" ] || { echo "FAIL subject"; exit 1; }
[ "$(jq -r '.subject[1].digest.sha256' payload)" = "$(sha256sum <tree.json | cut -d' ' -f1)" ] || { echo "FAIL subject"; exit 1; }

# 5. The time-stamp is about this signature and leads to the authority that you brought.
if [ -n "$root" ]; then openssl ts -verify -data sig -in seal/timestamp.tsr -CAfile "$root"; fi
echo "root $top: files, chain, tree, seal${root:+, time-stamp} hold"
