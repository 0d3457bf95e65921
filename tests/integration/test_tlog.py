#!/usr/bin/python3
"""Logs made by the C code, verified by the second implementation, at many
sizes; and what was damaged is refused by it, too.

Usage: test_tlog.py MAKE_LOG"""

import base64
import pathlib
import subprocess
import sys
import tempfile

import tlog

SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 127, 128, 255, 256, 257, 511, 512, 513, 1000,
         1025]


def refuses(call, *arguments):
    try:
        call(*arguments)
    except (tlog.Bad, ValueError):
        return True
    return False


def own_vectors():
    """The implementation agrees with itself and with RFC 6962's empty root."""
    assert tlog.root_of([]).hex().startswith("e3b0c442")
    hashes = [tlog.leaf_hash(bytes([i])) for i in range(70)]
    for n in range(1, 70):
        root = tlog.root_of(hashes[:n])
        for i in range(n):
            proof = tlog.inclusion(i, hashes[:n])
            tlog.check_inclusion(i, n, hashes[i], proof, root)
        for m in range(1, n + 1):
            proof = tlog.consistency(m, hashes[:n])
            tlog.check_consistency(m, n, tlog.root_of(hashes[:m]), root, proof)


def check_export(folder, size, vkey):
    log = tlog.Log(folder, vkey)
    assert log.checkpoint.size == size
    proofs = sorted((folder / "proofs").glob("*.leaf"))
    assert len(proofs) == (size + 6) // 7
    for leaf in proofs:
        entry = leaf.read_bytes()
        text = leaf.with_suffix("").read_bytes()
        index, checkpoint = tlog.check_proof(text, entry, vkey)
        assert index == int(leaf.stem)
        assert log.entries[index] == entry
        # Byte for byte the proof that the definition gives.
        proof = [base64.b64encode(node).decode()
                 for node in tlog.inclusion(index, log.hashes)]
        assert text.split(b"\n\n")[0].decode().split("\n")[2:] == proof
        assert checkpoint.root == log.checkpoint.root
        assert refuses(tlog.check_proof, text, entry + b" ", vkey)
    return log


def check_growth(logs):
    """What was published first is the beginning of what came later."""
    for old, new in zip(logs, logs[1:]):
        assert new.entries[:len(old.entries)] == old.entries
        proof = tlog.consistency(old.checkpoint.size, new.hashes)
        tlog.check_consistency(old.checkpoint.size, new.checkpoint.size,
                               old.checkpoint.root, new.checkpoint.root, proof)


def check_damage(folder, vkey):
    files = [p for p in folder.rglob("*")
             if p.is_file() and "proofs" not in p.parts]
    for path in files:
        before = path.read_bytes()
        damaged = bytearray(before)
        damaged[len(damaged) // 2] ^= 1
        path.write_bytes(damaged)
        assert refuses(tlog.Log, folder, vkey), path
        path.write_bytes(before)
    tlog.Log(folder, vkey)


def main():
    own_vectors()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([sys.argv[1], name] + [str(size) for size in SIZES],
                       check=True)
        vkey = tlog.VKey((folder / "vkey").read_text())
        logs = [check_export(folder / f"export-{size}", size, vkey)
                for size in SIZES]
        check_growth(logs)
        check_damage(folder / "export-513", vkey)
    print(f"{len(SIZES)} logs verified")


if __name__ == "__main__":
    main()
