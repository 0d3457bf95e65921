"""An authority in a few lines of Python: canonical JSON, the tree of RFC 6962,
signed checkpoints (C2SP signed-note, tlog-checkpoint) and SSHSIG, both to make
and to verify.  Independent of the C code on purpose."""
import base64
import hashlib
import json
import os
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def canonical(value):
    """RFC 8785 for what has no numbers but integers and only ASCII names."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"),
                      ensure_ascii=False)


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def b64(raw):
    return base64.b64encode(raw).decode()


def raw_key(key):
    return key.public_key().public_bytes(*RAW)


# ---- the tree ----

def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(count):
    """The largest power of two below count."""
    return 1 << (count - 1).bit_length() - 1


def root_of(hashes):
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = split(len(hashes))
    return node_hash(root_of(hashes[:k]), root_of(hashes[k:]))


def inclusion(index, hashes):
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if index < k:
        return inclusion(index, hashes[:k]) + [root_of(hashes[k:])]
    return inclusion(index - k, hashes[k:]) + [root_of(hashes[:k])]


def consistency(old, hashes, whole=True):
    if old == len(hashes):
        return [] if whole else [root_of(hashes)]
    k = split(len(hashes))
    if old <= k:
        return consistency(old, hashes[:k], whole) + [root_of(hashes[k:])]
    return consistency(old - k, hashes[k:], False) + [root_of(hashes[:k])]


def included(index, size, leaf, proof, root):
    """RFC 9162, 2.1.3.2."""
    if index >= size:
        return False
    fn, sn, found = index, size - 1, leaf
    for node in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            found = node_hash(node, found)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node_hash(found, node)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and found == root


# ---- notes ----

def key_id(name, public):
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def vkey(name, public):
    return f"{name}+{key_id(name, public).hex()}+{b64(bytes([1]) + public)}"


def sign_note(text, name, key):
    blob = key_id(name, raw_key(key)) + key.sign(text.encode())
    return f"{text}\n\u2014 {name} {b64(blob)}\n"


def open_checkpoint(note, verifier):
    """(size, root) of a checkpoint that the verifier key signed, else None."""
    name, _, public = verifier.split("+", 2)
    public = base64.b64decode(public)[1:]
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        _, signer, blob = line.split(" ")
        blob = base64.b64decode(blob)
        if signer != name or blob[:4] != key_id(name, public):
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(
                blob[4:], text.encode())
        except InvalidSignature:
            return None
        origin, size, root = text.splitlines()[:3]
        return (int(size), base64.b64decode(root)) if origin == name else None
    return None


# ---- SSH signatures ----

def ssh_string(raw):
    return struct.pack(">I", len(raw)) + raw


def ssh_blob(public):
    return ssh_string(b"ssh-ed25519") + ssh_string(public)


def ssh_line(key):
    return "ssh-ed25519 " + b64(ssh_blob(raw_key(key)))


def ssh_signed(namespace, message):
    return b"SSHSIG" + b"".join(map(ssh_string, [
        namespace.encode(), b"", b"sha512",
        hashlib.sha512(message).digest()]))


def ssh_sign(key, namespace, message):
    signature = ssh_string(b"ssh-ed25519") + ssh_string(
        key.sign(ssh_signed(namespace, message)))
    blob = b"SSHSIG" + struct.pack(">I", 1) + b"".join(map(ssh_string, [
        ssh_blob(raw_key(key)), namespace.encode(), b"", b"sha512",
        signature]))
    text = b64(blob)
    lines = [text[i:i + 70] for i in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines,
                      "-----END SSH SIGNATURE-----", ""])


def ssh_verify(line, namespace, message, armored):
    """True for an ssh-ed25519 signature by exactly the key of line."""
    try:
        public = base64.b64decode(line.split()[1])[-32:]
        blob = base64.b64decode("".join(armored.strip().splitlines()[1:-1]))
        head = b"SSHSIG" + struct.pack(">I", 1) + b"".join(map(ssh_string, [
            ssh_blob(public), namespace.encode(), b"", b"sha512"]))
        if not blob.startswith(head):
            return False
        Ed25519PublicKey.from_public_bytes(public).verify(
            blob[-64:], ssh_signed(namespace, message))
        return True
    except (InvalidSignature, ValueError, IndexError):
        return False


class Authority:
    """A log that grows, signs its checkpoints and arms plans."""

    def __init__(self, name="authority.example/writ"):
        self.name = name
        self.key = Ed25519PrivateKey.generate()
        self.leaves = []
        for number in range(5):
            self.add({"kind": "heartbeat", "about": f"n{number}"})

    @property
    def vkey(self):
        return vkey(self.name, raw_key(self.key))

    def add(self, leaf):
        text = canonical({"v": 1, "at": 0, "commit": [], **leaf})
        self.leaves.append(text)
        return text

    def hashes(self):
        return [leaf_hash(leaf.encode()) for leaf in self.leaves]

    def checkpoint(self, key=None):
        hashes = self.hashes()
        text = f"{self.name}\n{len(hashes)}\n{b64(root_of(hashes))}\n"
        return sign_note(text, self.name, key or self.key)

    def arm(self, plan, signatures=(), base=None, kind="armed"):
        """The order for a plan (a value), with its leaf in the log.  base: what
        base_of() gave."""
        text = canonical(plan)
        leaf = self.add({"kind": kind, "about": f"x{len(self.leaves)}",
                         "digest": digest(text)})
        return self.order(text, leaf, signatures, base)

    def order(self, text, leaf, signatures=(), base=None):
        index = self.leaves.index(leaf)
        self.add({"kind": "heartbeat", "about": f"after{index}"})
        return {
            "plan": text, "leaf": leaf, "index": index,
            "proof": [b64(n) for n in inclusion(index, self.hashes())],
            "checkpoint": self.checkpoint(),
            "signatures": list(signatures),
            "base": base and {**base, "proof": [
                b64(n) for n in inclusion(base["index"], self.hashes())]},
        }

    def base_of(self, plan):
        """What an end of plan undoes: the leaf that armed it, to be proved by
        the order."""
        text = canonical(plan)
        index = max(at for at, leaf in enumerate(self.leaves)
                    if json.loads(leaf).get("digest") == digest(text))
        return {"plan": text, "leaf": self.leaves[index], "index": index}

    def statement(self, human, plan_digest, decision="approve"):
        return canonical({
            "type": "approval/v1", "authority": self.name, "human": human,
            "at": "2026-01-01T00:00:00.000Z", "nonce": os.urandom(16).hex(),
            "request": "req_1", "digest": plan_digest, "group": "owners",
            "decision": decision, "reason": "conformance"})

    def approval(self, human, key, plan, decision="approve",
                 namespace="writ-approval"):
        text = self.statement(human, digest(canonical(plan)), decision)
        return {"statement": text, "human": human,
                "signature": ssh_sign(key, namespace, text.encode())}
