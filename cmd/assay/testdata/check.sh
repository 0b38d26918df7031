#!/bin/sh
# Checks a sealed run with public tools alone:
#   sh check.sh RUN.assay lab.pub [tsa-root.pem]
#   sh check.sh RUN.assay fulcio-root.pem tsa-root.pem SIGNER ISSUER    sealed under a certificate of a Fulcio
# It needs unzip, sha256sum, jq, openssl and xxd, and nothing of assay.
set -eu
run=$(realpath "$1") key=$(realpath "$2") root=${3:+$(realpath "$3")} signer=${4:-} issuer=${5:-}
[ -z "$signer" ] || [ -n "$issuer" ] || { echo "FAIL name the issuer, too"; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
# Nothing but what is checked below, nothing twice, and no link that would lead what is written here elsewhere.
names=$(unzip -Z1 "$run")
[ -z "$(printf '%s\n' "$names" | sort | uniq -d)" ] || { echo "FAIL a name is there twice"; exit 1; }
if printf '%s\n' "$names" | grep -vxE 'mimetype|journal\.jsonl|tree\.json|seal/(statement\.sigstore\.json|timestamp\.tsr)|files/[0-9a-f]{64}|amendments/[0-9]{4}\.sigstore\.json'; then echo "FAIL these belong to no run"; exit 1; fi
unzip -q "$run"
[ -z "$(find . ! -type f ! -type d)" ] || { echo "FAIL a link"; exit 1; }

# 1. Each file is what its name says, and what a record says.
for f in files/*; do [ "$(sha256sum <"$f" | cut -d' ' -f1)" = "${f#files/}" ] || { echo "FAIL $f"; exit 1; }; done
jq -r 'select(.kind=="artefact").body.sha256' journal.jsonl | sort -u | while read -r d; do [ -f "files/$d" ] || { echo "FAIL files/$d is missing"; exit 1; }; done
for f in files/*; do jq -r 'select(.kind=="artefact").body.sha256' journal.jsonl | grep -qx "${f#files/}" || { echo "FAIL $f is in no record"; exit 1; }; done

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

# 4. The seal (DSSE) is signed under the key that you brought, or under a certificate (see 6), and about this root.
seal=seal/statement.sigstore.json
jq -r .dsseEnvelope.payload $seal | base64 -d >payload
jq -r '.dsseEnvelope.signatures[0].sig' $seal | base64 -d >sig
typ=$(jq -r .dsseEnvelope.payloadType $seal)
{ printf 'DSSEv1 %d %s %d ' "${#typ}" "$typ" "$(wc -c <payload)"; cat payload; } >pae
if [ -n "$signer" ]; then
  { echo "-----BEGIN CERTIFICATE-----"; jq -r .verificationMaterial.certificate.rawBytes $seal | fold -w 64; echo "-----END CERTIFICATE-----"; } >leaf.pem
  openssl x509 -in leaf.pem -pubkey -noout >leaf.pub
  openssl dgst -sha256 -verify leaf.pub -signature sig pae
else
  openssl dgst -sha256 -verify "$key" -signature sig pae
fi
[ "$(jq -r '.subject[0].digest.sha256' payload)" = "$top" ] || { echo "FAIL subject"; exit 1; }
[ "$(jq -r '.subject[1].digest.sha256' payload)" = "$(sha256sum <tree.json | cut -d' ' -f1)" ] || { echo "FAIL subject"; exit 1; }

# 5. The time-stamp is about this signature and leads to the authority that you brought.
[ -n "$root" ] || [ -z "$signer" ] || { echo "FAIL a certificate of minutes needs a time-stamp"; exit 1; }
if [ -n "$root" ]; then openssl ts -verify -data sig -in seal/timestamp.tsr -CAfile "$root"; fi
# 6. At that time the certificate led to the Fulcio that you brought, for code signing, and names this signer and this issuer.
if [ -n "$signer" ]; then
  at=$(openssl ts -reply -in seal/timestamp.tsr -text 2>/dev/null | sed -n 's/^Time stamp: //p')
  openssl verify -attime "$(date -u -d "$at" +%s)" -CAfile "$key" leaf.pem
  openssl x509 -in leaf.pem -noout -ext extendedKeyUsage | sed 1d | grep -qx ' *Code Signing' || { echo "FAIL purpose"; exit 1; }
  openssl x509 -in leaf.pem -noout -ext subjectAltName | sed 1d | grep -Fx -e "    email:$signer" -e "    URI:$signer" -e "    othername: 1.3.6.1.4.1.57264.1.7::$signer" || { echo "FAIL signer"; exit 1; }
  extension() { openssl asn1parse -in leaf.pem | grep -A1 ":1\.3\.6\.1\.4\.1\.57264\.1\.$1\$" | sed -n 's/.*\[HEX DUMP\]://p' | xxd -r -p; }
  [ "$(extension 8 | openssl asn1parse -inform DER | sed -n 's/.*UTF8STRING *://p')" = "$issuer" ] || { echo "FAIL issuer"; exit 1; }
fi
echo "root $top: files, chain, tree, seal${root:+, time-stamp}${signer:+, certificate} hold"
