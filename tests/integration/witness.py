"""A test witness: C2SP tlog-witness over HTTP, small but whole.  It verifies the
log's signature and the consistency proof by itself (with tlog.py), keeps what it
has seen in a file before it answers, and cosigns.  Faults are turned on by name.
"""
import base64
import hashlib
import http.server
import json
import os
import pathlib
import threading
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey, Ed25519PublicKey)

import tlog

DASH = "\u2014"
TYPE = b"\x04"


def b64(raw):
    return base64.b64encode(raw).decode()


def raw_public(key):
    return key.public_key().public_bytes(serialization.Encoding.Raw,
                                         serialization.PublicFormat.Raw)


def key_id(name, public):
    return hashlib.sha256(name.encode() + b"\n" + TYPE + public).digest()[:4]


def message(text, when):
    return b"cosignature/v1\ntime %d\n" % when + text


class Cosigner:
    """A witness's key, as a verifier holds it."""

    def __init__(self, vkey):
        self.name, hash_, key = vkey.split("+", 2)
        blob = base64.b64decode(key, validate=True)
        tlog.need(len(blob) == 33 and blob[:1] == TYPE, "not a witness's key")
        self.public = blob[1:]
        self.id = key_id(self.name, self.public)
        tlog.need(self.id.hex() == hash_, "the key's hash is wrong")

    def cosigned(self, note):
        """When it cosigned a note; None if it did not."""
        text, _, lines = note.rpartition(b"\n\n")
        for line in lines[:-1].split(b"\n"):
            _, name, blob = line.split(b" ")
            blob = base64.b64decode(blob, validate=True)
            if name.decode() != self.name or blob[:4] != self.id:
                continue
            when = int.from_bytes(blob[4:12], "big")
            try:
                Ed25519PublicKey.from_public_bytes(self.public).verify(
                    blob[12:], message(text + b"\n", when))
            except InvalidSignature as error:
                raise tlog.Bad("the cosignature is wrong") from error
            return when
        return None


class Refused(Exception):
    """An answer that is no cosignature."""

    def __init__(self, status, body=b"", content_type="text/plain"):
        super().__init__(status)
        self.status = status
        self.body = body
        self.content_type = content_type


class Witness:
    """Serves on 127.0.0.1 from start() on; everything it was asked is in
    calls."""

    def __init__(self, folder, name="w1", port=0):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.short = name
        self.name = f"witness.test/{name}"
        self.key = Ed25519PrivateKey.generate()
        self.logs = {}  # origin -> tlog.VKey
        self.fault = None
        self.calls = []
        self.port = port
        self.lock = threading.Lock()
        self.server = None
        self.thread = None

    # What is known of it.

    @property
    def vkey(self):
        public = raw_public(self.key)
        return (f"{self.name}+{key_id(self.name, public).hex()}+"
                f"{b64(TYPE + public)}")

    @property
    def cosigner(self):
        return Cosigner(self.vkey)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/w"

    @property
    def line(self):
        """Its line in a policy file."""
        return f"witness {self.short} {self.vkey} {self.url}/\n"

    def trust(self, vkey):
        key = tlog.VKey(vkey)
        self.logs[key.name] = key

    # What it has seen.

    @property
    def path(self):
        return self.folder / f"{self.short}.json"

    def seen(self, origin):
        """(size, root) of the last checkpoint it cosigned."""
        if not self.path.exists():
            return 0, b""
        row = json.loads(self.path.read_text()).get(origin)
        return (row[0], base64.b64decode(row[1])) if row else (0, b"")

    def see(self, origin, size, root):
        rows = (json.loads(self.path.read_text()) if self.path.exists()
                else {})
        rows[origin] = [size, b64(root)]
        fresh = self.path.with_suffix(".new")
        with open(fresh, "w", encoding="ascii") as file:
            file.write(json.dumps(rows))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    # Serving.

    def start(self):
        witness = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One call."""
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, kind, reply = witness.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                try:
                    self.wfile.write(reply)
                except OSError:
                    pass  # whoever asked had enough of it

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        class Server(http.server.ThreadingHTTPServer):
            """Without noise when a peer leaves."""
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.05},
                                       daemon=True)
        self.thread.start()
        return self

    def stop(self):
        """It is down; start() brings it back at the same address."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.thread.join()
            self.server = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def answer(self, path, body):
        """(status, content type, body) for a call."""
        if path != "/w/add-checkpoint":
            return 404, "text/plain", b""
        try:
            with self.lock:
                return 200, "text/plain", self.add_checkpoint(body)
        except Refused as refused:
            return refused.status, refused.content_type, refused.body

    def add_checkpoint(self, body):
        head, _, note = body.partition(b"\n\n")
        first, *proof = head.split(b"\n")
        word, old = first.split(b" ")
        if word != b"old" or str(int(old)).encode() != old or len(proof) > 63:
            raise Refused(400)
        old = int(old)
        proof = [base64.b64decode(line, validate=True) for line in proof]
        origin = note.split(b"\n")[0].decode()
        if origin not in self.logs:
            raise Refused(404)
        try:
            checkpoint = tlog.Checkpoint(note, self.logs[origin])
        except tlog.Bad as error:
            raise Refused(403) from error
        self.calls.append((old, checkpoint.size))
        fault = FAULTS.get(self.fault)
        if fault:
            return fault(self, note, checkpoint)
        self.check(old, proof, checkpoint)
        self.see(origin, checkpoint.size, checkpoint.root)
        return self.cosign(note)

    def check(self, old, proof, checkpoint):
        """Old size, then the proof."""
        size, root = self.seen(checkpoint.origin)
        if old > checkpoint.size:
            raise Refused(400)
        if old != size:
            raise Refused(409, b"%d\n" % size, "text/x.tlog.size")
        if old == 0:
            if proof:
                raise Refused(422)
            return
        if old == checkpoint.size and root != checkpoint.root:
            raise Refused(409, b"%d\n" % size, "text/x.tlog.size")
        try:
            tlog.check_consistency(old, checkpoint.size, root,
                                   checkpoint.root, proof)
        except tlog.Bad as error:
            raise Refused(422) from error

    def cosign(self, note, when=None, key=None, written=None, name=None):
        """Its line for a note; what is given replaces what is right."""
        text = note.rpartition(b"\n\n")[0] + b"\n"
        when = int(time.time()) if when is None else when
        signature = (key or self.key).sign(message(text, when))
        shown = when if written is None else written
        name = name or self.name
        identity = key_id(name, raw_public(self.key))
        blob = identity + shown.to_bytes(8, "big") + signature
        return f"{DASH} {name} {b64(blob)}\n".encode()


def flip(line):
    """The same line with one bit of the signature turned."""
    dash, name, blob = line.decode()[:-1].split(" ")
    raw = bytearray(base64.b64decode(blob))
    raw[-5] ^= 1
    return f"{dash} {name} {b64(raw)}\n".encode()


def refuse(status, body=b""):
    def answer(*_):
        raise Refused(status, body)
    return answer


FAULTS = {
    "wrong key": lambda w, note, c: w.cosign(
        note, key=Ed25519PrivateKey.generate()),
    "unknown witness": lambda w, note, c: w.cosign(note, name="witness.test/x"),
    "forged time": lambda w, note, c: w.cosign(
        note, written=int(time.time()) + 60),
    "from the future": lambda w, note, c: w.cosign(
        note, when=int(time.time()) + 3600),
    "a bit turned": lambda w, note, c: flip(w.cosign(note)),
    "another checkpoint": lambda w, note, c: w.cosign(
        note.replace(b"\n%d\n" % c.size, b"\n%d\n" % (c.size + 1), 1)),
    "garbage": lambda w, note, c: b"\x00\xff\x1b]0;garbage\n" * 20,
    "empty": lambda w, note, c: b"",
    "ten megabytes": lambda w, note, c: b"\xe2\x80\x94 x " + b"A" * (10 << 20),
    "500": refuse(500),
    "unknown log": refuse(404),
    "distrusted key": refuse(403),
    "409 without a size": refuse(409, b"<html>conflict</html>\n"),
    "409 with a sign": refuse(409, b"-1\n"),
    "a redirect": refuse(302),
}


def policy_text(vkey, witnesses, quorum):
    """A policy file; quorum: "all", "any" or a number of them."""
    names = " ".join(w.short for w in witnesses)
    return (f"# who cosigns the log\nlog {vkey}\n"
            + "".join(w.line for w in witnesses)
            + f"group all-of-them {quorum} {names}\nquorum all-of-them\n")
