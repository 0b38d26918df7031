"""Counts signatures of TUF metadata with Debian's python3-securesystemslib, which shares no
code with the verifier under test. Arguments: the trusted root, then metadata files; exit 1
where a file is not signed by as many keys of its role as the root asks for."""
import json
import sys

from securesystemslib.formats import encode_canonical
from securesystemslib.keys import verify_signature


def signed_by(root, doc):
    role = root["signed"]["roles"][doc["signed"]["_type"]]
    message = encode_canonical(doc["signed"]).encode()
    good = set()
    for sig in doc["signatures"]:
        if sig["keyid"] not in role["keyids"]:
            continue
        key = dict(root["signed"]["keys"][sig["keyid"]], keyid=sig["keyid"])
        if verify_signature(key, sig, message):
            good.add(sig["keyid"])
    return len(good) >= role["threshold"]


root = json.load(open(sys.argv[1]))
for name in sys.argv[2:]:
    doc = json.load(open(name))
    if not signed_by(root, doc):
        sys.exit(f"{name}: below the threshold")
    if doc["signed"]["_type"] == "root":
        root = doc
