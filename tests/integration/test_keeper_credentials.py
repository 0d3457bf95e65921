"""Credentials made by the real writ-keeper, taken by what people run: PyJWT for
tokens, OpenSSH's sshd and ssh for certificates and revocation.  The log here is
a list in this file, signed by the keeper like any other; what is made of the
leaves of a whole authority is not the subject."""
import getpass
import hashlib
import json
import os
import shutil
import socket
import struct
import subprocess
import time

import pytest

from authority import b64, canonical, consistency, inclusion, leaf_hash, root_of
import harness

jwt = pytest.importorskip("jwt")

ORIGIN = "authority.example/log"
ISSUER = "https://authority.example"
AUDIENCE = "https://target.example"
MAKE_KRL = "tests/unit/crypto/make_krl"
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/usr/local/sbin")
needs_sshd = pytest.mark.skipif(not SSHD, reason="no sshd here")


def base64url(raw):
    return b64(raw).rstrip("=").replace("+", "-").replace("/", "_")


class Keeper:
    """A keeper, and the log that it signs."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run([harness.program("writ-keeper"), "--folder", folder,
                        "--init", "--origin", ORIGIN], check=True)
        self.leaves = [canonical({"v": 1, "kind": "genesis", "at": 0})]
        self.size = 0
        self.start()

    def start(self):
        self.child = subprocess.Popen(
            [harness.program("writ-keeper"), "--folder", self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def stop(self):
        self.child.stdin.close()
        assert self.child.wait(30) == 0
        self.child.stdout.close()

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def ask(self, method, **params):
        """The result, or the word of a refusal."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                           "params": params}).encode()
        self.child.stdin.write(struct.pack(">I", len(body)) + body)
        self.child.stdin.flush()
        size = struct.unpack(">I", self.child.stdout.read(4))[0]
        answer = json.loads(self.child.stdout.read(size))
        return answer.get("result") or answer["error"]["data"]["reason"]

    def sign(self):
        hashes = [leaf_hash(leaf.encode()) for leaf in self.leaves]
        proof = consistency(self.size, hashes) if 0 < self.size < len(hashes) else []
        answer = self.ask("checkpoint", size=len(hashes), root=b64(root_of(hashes)),
                          proof=[b64(node) for node in proof])
        self.size = len(hashes)
        return answer["note"]

    def record(self, form, payload, life=300, at=None, **other):
        """Puts a leaf about payload into the log; the params to ask with."""
        salt = os.urandom(32)
        commitment = hashlib.sha256(
            b"evc1\0" + salt + canonical(payload).encode()).digest()
        at = int(time.time()) if at is None else at
        self.leaves.append(canonical({
            "v": 1, "kind": "issued", "form": form, "about": "crd_1", "task": "tsk_1",
            "at": at * 1000, "expires": at + life,
            "commit": ["c:" + base64url(commitment)], **other}))
        hashes = [leaf_hash(leaf.encode()) for leaf in self.leaves]
        index = len(hashes) - 1
        return {"leaf": self.leaves[-1], "index": index, "checkpoint": self.sign(),
                "proof": [b64(node) for node in inclusion(index, hashes)],
                "salt": base64url(salt), "payload": payload}

    def token(self, life=300, **claims):
        return self.ask("token", **self.record("token", token_payload(**claims), life))

    def certificate(self, folder, life=300, **payload):
        """Has the key in folder certified; writes key-cert.pub; the serial."""
        made = self.ask("ssh-certificate", **self.record(
            "ssh", {"publicKey": (folder / "key.pub").read_text().strip(),
                    "principals": [getpass.getuser()], **payload}, life))
        (folder / "key-cert.pub").write_text(made["certificate"] + "\n")
        return made["serial"]


def token_payload(**claims):
    return {"iss": ISSUER, "sub": "spiffe://ex/agent/a", "aud": AUDIENCE,
            "client_id": "spiffe://ex/agent/a", **claims}


@pytest.fixture
def keeper(tmp_path):
    keeper = Keeper(tmp_path / "keeper")
    yield keeper
    if keeper.child.poll() is None:
        keeper.kill()


def key_for(keeper, token):
    """The public key as a client finds it: by the header's kid, in the set."""
    jwks = jwt.PyJWKSet.from_dict(keeper.ask("jwks"))
    kid = jwt.get_unverified_header(token)["kid"]
    return next(key.key for key in jwks.keys if key.key_id == kid)


def decoded(keeper, token, audience=AUDIENCE):
    return jwt.decode(token, key_for(keeper, token), algorithms=["ES256"],
                      audience=audience, issuer=ISSUER,
                      options={"require": ["exp", "iat", "sub", "jti"]})


# Tokens.

def test_a_token_is_taken_by_an_independent_library(keeper):
    details = [{"type": "writ_task", "actions": ["group.member.add"],
                "locations": [AUDIENCE], "identifier": "group:eng"}]
    act = {"sub": "spiffe://ex/agent/b", "iss": "spiffe://ex",
           "act": {"sub": "spiffe://ex/agent/a", "iss": "spiffe://ex"}}
    made = keeper.token(scope="a b", authorization_details=details, act=act,
                        cnf={"jkt": base64url(bytes(32))})
    assert jwt.get_unverified_header(made["token"]) == {
        "alg": "ES256", "kid": made["kid"], "typ": "at+jwt"}
    claims = decoded(keeper, made["token"])
    assert claims["exp"] == made["expires"] == claims["iat"] + 300
    assert claims["authorization_details"] == details and claims["act"] == act
    assert claims["cnf"] == {"jkt": base64url(bytes(32))}
    assert (claims["jti"], claims["writ_task"], claims["writ_leaf"]) == (
        "crd_1", "tsk_1", 1)


def test_a_changed_token_is_refused_by_it(keeper):
    token = keeper.token()["token"]
    head, body, signature = token.split(".")
    with pytest.raises(jwt.InvalidSignatureError):
        changed = base64url(json.dumps(
            {**token_payload(sub="somebody"), "exp": 1 << 40}).encode())
        jwt.decode(f"{head}.{changed}.{signature}", key_for(keeper, token),
                   algorithms=["ES256"], audience=AUDIENCE)
    with pytest.raises(jwt.InvalidAudienceError):
        decoded(keeper, token, audience="https://other.example")


def test_a_leaf_makes_one_token_whatever_happens(keeper):
    params = keeper.record("token", token_payload())
    assert "token" in keeper.ask("token", **params)
    assert keeper.ask("token", **params) == "used"
    keeper.kill()
    keeper.start()
    assert keeper.ask("token", **params) == "used"


def test_what_is_not_in_the_log_makes_nothing(keeper):
    params = keeper.record("token", token_payload())
    longer = json.loads(params["leaf"])
    longer["expires"] += 1
    assert keeper.ask("token", **{**params, "leaf": canonical(longer)}) == "inclusion"
    assert keeper.ask("token", **{
        **params, "payload": token_payload(aud="https://other.example")}) == "payload"
    assert keeper.ask("token", **{
        **params, "checkpoint": params["checkpoint"].replace("\n", " ", 1)}) == "checkpoint"
    assert keeper.ask("ssh-certificate", **params) == "leaf"
    assert keeper.ask("token", **keeper.record("token", token_payload(), 300,
                                               at=1795000000)) in ("time", "expired")
    assert keeper.ask("token", **keeper.record("token", token_payload(), 300,
                                               kind="armed")) == "leaf"
    assert "token" in keeper.ask("token", **params)


def test_keys_rotate_and_old_tokens_still_verify(keeper):
    before = keeper.token()["token"]
    keeper.stop()
    subprocess.run([harness.program("writ-keeper"), "--folder", keeper.folder,
                    "--rotate", "tokens"], check=True)
    keeper.start()
    after = keeper.token()["token"]
    assert len(keeper.ask("jwks")["keys"]) == 2
    assert jwt.get_unverified_header(before)["kid"] != \
        jwt.get_unverified_header(after)["kid"]
    for token in before, after:
        assert decoded(keeper, token)["sub"] == "spiffe://ex/agent/a"


def test_a_folder_of_the_version_before_is_completed(keeper):
    keeper.stop()
    path = keeper.folder / "keys.json"
    keys = json.loads(path.read_text())
    del keys["tokens"], keys["ssh"]
    path.write_text(json.dumps({**keys, "v": 1}))
    (keeper.folder / "issued").unlink()
    keeper.start()
    assert decoded(keeper, keeper.token()["token"])
    assert json.loads(path.read_text())["log"] == keys["log"]


# Certificates.

def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Sshd:
    """A real sshd of this user on a port of loopback, which trusts the keeper's
    authority and looks into a revocation list."""

    def __init__(self, folder, keeper):
        self.folder = folder
        self.port = free_port()
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key")
        (folder / "trusted").write_text(
            "".join(line + "\n" for line in keeper.ask("ssh-authorities")["keys"]))
        (folder / "revoked").write_text("")
        (folder / "config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {folder}/host\n"
            f"TrustedUserCAKeys {folder}/trusted\nRevokedKeys {folder}/revoked\n"
            "AuthorizedKeysFile none\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n"
            "PermitRootLogin prohibit-password\nPidFile none\n")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.log = open(folder / "sshd.log", "ab")
        self.child = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"],
                                      stderr=self.log)
        harness.wait_until(self.listens, "sshd")

    def listens(self):
        assert self.child.poll() is None, (self.folder / "sshd.log").read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def login(self, command="echo in"):
        """What a command says over ssh; None where nobody is let in."""
        done = subprocess.run(
            ["ssh", "-F", "none", "-i", self.folder / "key", "-p", str(self.port),
             "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
             "-o", "IdentityAgent=none", "127.0.0.1", command],
            capture_output=True, text=True)
        return None if done.returncode == 255 else done.stdout.strip()

    def revoke(self, keeper, *serials):
        """Puts the list that our own code writes in place."""
        line = keeper.ask("ssh-authorities")["keys"][-1]
        (self.folder / "revoked").write_bytes(subprocess.run(
            [harness.BUILD / MAKE_KRL, line, *map(str, serials)], check=True,
            capture_output=True).stdout)

    def close(self):
        self.child.terminate()
        self.child.wait()
        self.log.close()


def run(*command):
    return subprocess.run([str(word) for word in command], check=True,
                          capture_output=True, text=True).stdout


@pytest.fixture
def sshd(keeper, tmp_path):
    server = Sshd(tmp_path, keeper)
    yield server
    server.close()


def test_ssh_keygen_reads_the_certificate(keeper, tmp_path):
    run("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "key")
    keeper.record("token", token_payload())
    serial = keeper.certificate(tmp_path, principals=["app", "db"],
                                sourceAddress="10.0.0.0/8",
                                forceCommand="/bin/true", permit=["pty"])
    said = run("ssh-keygen", "-L", "-f", tmp_path / "key-cert.pub")
    assert serial == 2 and f"Serial: {serial}\n" in said
    for line in ('Key ID: "tsk_1/crd_1"', "force-command /bin/true",
                 "source-address 10.0.0.0/8", "permit-pty", "app\n", "db\n",
                 "ecdsa-sha2-nistp256-cert-v01@openssh.com user certificate"):
        assert line in said, line


@needs_sshd
def test_sshd_lets_the_holder_in_until_it_is_revoked(keeper, sshd):
    assert sshd.login() is None, "a key alone opens nothing"
    serial = keeper.certificate(sshd.folder)
    assert sshd.login() == "in"
    sshd.revoke(keeper, serial + 1)
    assert sshd.login() == "in", "another one is revoked"
    sshd.revoke(keeper, serial)
    assert sshd.login() is None
    keeper.certificate(sshd.folder)
    assert sshd.login() == "in", "a new one is not"


@needs_sshd
def test_sshd_holds_the_session_to_what_the_leaf_says(keeper, sshd):
    keeper.certificate(sshd.folder, forceCommand="echo only this")
    assert sshd.login("echo anything") == "only this"
    keeper.certificate(sshd.folder, sourceAddress="192.0.2.0/24")
    assert sshd.login() is None
    keeper.certificate(sshd.folder, sourceAddress="127.0.0.0/8,192.0.2.7")
    assert sshd.login() == "in"
    keeper.certificate(sshd.folder, principals=["somebody-else"])
    assert sshd.login() is None


@needs_sshd
def test_sshd_refuses_a_certificate_whose_time_is_over(keeper, sshd):
    keeper.certificate(sshd.folder, life=2)
    expires = time.time() + 2
    harness.wait_until(lambda: time.time() > expires + 1, "the end of its time")
    assert sshd.login() is None
