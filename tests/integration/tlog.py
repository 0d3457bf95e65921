"""A second implementation of what the evidence log is made of: RFC 6962 trees,
C2SP signed notes, checkpoints, tiles and tlog-proofs.  Written from the
specifications with hashlib and Ed25519 alone, so that it can be wrong in other
places than the C code."""

import base64
import hashlib
import pathlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Bad(Exception):
    """Something does not verify."""


def need(condition, why):
    if not condition:
        raise Bad(why)


# Merkle trees (RFC 9162, section 2.1).

def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(count):
    """The largest power of two below count."""
    k = 1
    while k * 2 < count:
        k *= 2
    return k


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


def check_inclusion(index, size, hash_, proof, root):
    need(index < size, "index beyond the tree")
    fn, sn, r = index, size - 1, hash_
    for p in proof:
        need(sn != 0, "proof too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and r == root, "inclusion does not hold")


def consistency(old, hashes):
    def sub(m, part, whole):
        if m == len(part):
            return [] if whole else [root_of(part)]
        k = split(len(part))
        if m <= k:
            return sub(m, part[:k], whole) + [root_of(part[k:])]
        return sub(m - k, part[k:], False) + [root_of(part[:k])]

    return sub(old, hashes, True)


def check_consistency(m, n, old_root, root, proof):
    if m == n:
        need(not proof and old_root == root, "equal sizes, unequal roots")
        return
    need(0 < m < n and proof, "no proof")
    proof = list(proof)
    if m & (m - 1) == 0:
        proof.insert(0, old_root)
    fn, sn = m - 1, n - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        need(sn != 0, "proof too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    need(fr == old_root and sr == root and sn == 0, "inconsistent")


# Signed notes and checkpoints.

class VKey:
    def __init__(self, text):
        self.name, hash_, key = text.strip().split("+", 2)
        blob = base64.b64decode(key, validate=True)
        need(len(blob) == 33 and blob[0] == 1, "not an Ed25519 key")
        self.id = hashlib.sha256(self.name.encode() + b"\n" + blob).digest()[:4]
        need(self.id.hex() == hash_, "the key's hash is wrong")
        self.key = Ed25519PublicKey.from_public_bytes(blob[1:])


def open_note(note, vkey):
    """The text of a note that vkey signed."""
    text, mark, lines = note.rpartition(b"\n\n")
    need(mark and lines.endswith(b"\n"), "not a note")
    text += b"\n"
    for line in lines[:-1].split(b"\n"):
        dash, name, blob = line.split(b" ")
        need(dash == "\u2014".encode(), "not a signature line")
        blob = base64.b64decode(blob, validate=True)
        if name.decode() != vkey.name or blob[:4] != vkey.id:
            continue
        try:
            vkey.key.verify(blob[4:], text)
        except InvalidSignature as error:
            raise Bad("the signature is wrong") from error
        return text
    raise Bad("not signed by this key")


class Checkpoint:
    def __init__(self, note, vkey):
        lines = open_note(note, vkey).decode().split("\n")
        self.origin, size, root = lines[:3]
        need(self.origin == vkey.name, "another origin")
        need(size == str(int(size)), "size")
        self.size = int(size)
        self.root = base64.b64decode(root, validate=True)
        need(len(self.root) == 32, "root")


# Tiles.

def tile_path(level, number, width=256):
    groups = [f"{number % 1000:03}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03}")
    partial = "" if width == 256 else f".p/{width}"
    return f"tile/{level}/{'/'.join(groups)}{partial}"


def tiles(level, size):
    """(number, width) of each tile of a level."""
    count = size >> (8 * level)
    for number in range(count // 256):
        yield number, 256
    if count % 256:
        yield count // 256, count % 256


def entries_of(bundle):
    entries = []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        need(len(bundle) >= 2 + length, "an entry cut short")
        entries.append(bundle[2:2 + length])
        bundle = bundle[2 + length:]
    return entries


class Log:
    """A log in a folder, verified as a whole."""

    def __init__(self, folder, vkey):
        folder = pathlib.Path(folder)
        self.checkpoint = Checkpoint((folder / "checkpoint").read_bytes(), vkey)
        size = self.checkpoint.size
        self.entries = []
        for number, width in tiles(0, size):
            path = folder / tile_path("entries", number, width)
            found = entries_of(path.read_bytes())
            need(len(found) == width, f"{path} has {len(found)} entries")
            self.entries += found
        self.hashes = [leaf_hash(entry) for entry in self.entries]
        need(root_of(self.hashes) == self.checkpoint.root, "root")
        row = self.hashes
        level = 0
        while row:
            for number, width in tiles(level, size):
                path = folder / tile_path(level, number, width)
                want = b"".join(row[number * 256:number * 256 + width])
                need(path.read_bytes() == want, f"{path} differs")
            row = [root_of(row[i:i + 256])
                   for i in range(0, len(row) // 256 * 256, 256)]
            level += 1
        self.levels = level


def check_proof(text, entry, vkey):
    """A C2SP .tlog-proof of an entry; its index and checkpoint."""
    head, _, note = text.partition(b"\n\n")
    lines = head.decode().split("\n")
    need(lines.pop(0) == "c2sp.org/tlog-proof@v1", "not a tlog-proof")
    if lines[0].startswith("extra "):
        lines.pop(0)
    word, index = lines.pop(0).split(" ")
    need(word == "index", "no index")
    checkpoint = Checkpoint(note, vkey)
    proof = [base64.b64decode(line, validate=True) for line in lines]
    check_inclusion(int(index), checkpoint.size, leaf_hash(entry), proof,
                    checkpoint.root)
    return int(index), checkpoint
