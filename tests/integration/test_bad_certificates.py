"""Certificates that prove nobody, over mutual TLS: each row of the table is one
connection to one authority that all rows share.  After each of them a right
certificate is still taken; after the last one the log holds nothing but counted
refusals, and the daemon is the process it was."""
import dataclasses
import datetime
import json
import socket
import ssl
import struct
import typing

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import harness
import stories
import web
from identity import (SpiffeCa, TlsAuthority, agent, bundle, call_tls,
                      reason)

ORG = "example.org"
HR = f"spiffe://{ORG}/agent/hr-bot"
ROWS = []

# pylint: disable=redefined-outer-name


@dataclasses.dataclass
class Row:
    """make(Stage) gives (certificates, key) as files; why: the reason of the
    401, None where not even the handshake succeeds."""
    name: str
    make: typing.Callable
    why: typing.Optional[str]


def row(name, make, why):
    ROWS.append(Row(name, make, why))


# ---- certificates of every kind ----

def usage(*names):
    known = ("digital_signature", "content_commitment", "key_encipherment",
             "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
             "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: name in names for name in known})


def moment(seconds):
    return datetime.datetime.now(datetime.timezone.utc).replace(
        tzinfo=None) + datetime.timedelta(seconds=seconds)


def uris(*texts):
    return x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(text) for text in texts])


SIGNING = usage("digital_signature")
BOTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH,
                              ExtendedKeyUsageOID.CLIENT_AUTH])


class Signer:
    """A key and the certificate it signs with."""

    def __init__(self, cert, key):
        self.cert = cert
        self.key = key

    @classmethod
    def of(cls, ca):
        return cls(x509.load_pem_x509_certificate(ca.cert.read_bytes()),
                   serialization.load_pem_private_key(ca.key.read_bytes(),
                                                      None))


class Stage:
    """What rows need: the domain's authority, and a folder to write to."""

    def __init__(self, folder, org):
        self.folder = folder
        self.org = org
        self.signer = Signer.of(org)
        self.count = 0

    def write(self, key, *certs):
        """Files of a chain (certificates, or PEM) and its key."""
        self.count += 1
        base = self.folder / f"row-{self.count}"
        pem = b"".join(cert if isinstance(cert, bytes) else cert.public_bytes(
            serialization.Encoding.PEM) for cert in certs)
        base.with_suffix(".crt").write_bytes(pem)
        base.with_suffix(".key").write_bytes(key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return base.with_suffix(".crt"), base.with_suffix(".key")

    def sign(self, names=uris(HR), by=None, key=None, start=-60, end=3600,
             authority=False, path=None, use=SIGNING, critical=True,
             extended=BOTH, digest=None, more=(), subject="svid", itself=False,
             issuer=None):
        """(certificate, key); names, use and extended may be None."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        by = by or self.signer
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME,
                                             subject)])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(
            name if itself else issuer or by.cert.subject).public_key(
                key.public_key()).serial_number(
                    x509.random_serial_number()).not_valid_before(
                        moment(start)).not_valid_after(moment(end))
        builder = builder.add_extension(x509.BasicConstraints(
            authority, path), True)
        for extension, is_critical in ((names, False), (use, critical),
                                       (extended, False), *more):
            if extension is not None:
                builder = builder.add_extension(extension, is_critical)
        return Signer(builder.sign(key if itself else by.key,
                                   digest or hashes.SHA256()), key)

    def leaf(self, **options):
        made = self.sign(**options)
        return self.write(made.key, made.cert)

    def between(self, **options):
        """An authority below the domain's own."""
        options = {"names": uris(f"spiffe://{ORG}"), "authority": True,
                   "use": usage("key_cert_sign"), "extended": None,
                   "subject": "between", **options}
        return self.sign(**options)

    def below(self, *line, **options):
        """A leaf below the last of a line of authorities, and all of them."""
        made = self.sign(by=line[-1], **options)
        return self.write(made.key, made.cert,
                          *(one.cert for one in reversed(line)))

    def line(self, count, **options):
        line = []
        for n in range(count):
            line.append(self.between(by=line[-1] if line else None,
                                     subject=f"between {n}", **options))
        return line


# ---- the table ----

row("expired", lambda s: s.leaf(start=-7200, end=-60), "expired")
row("expired-a-second-ago", lambda s: s.leaf(start=-7200, end=-1), "expired")
row("not-yet-valid", lambda s: s.leaf(start=600, end=7200), "not-yet-valid")
row("lives-too-long", lambda s: s.leaf(end=40 * 3600), "lives-too-long")
row("no-names", lambda s: s.leaf(names=None), "subject")
row("a-dns-name-alone", lambda s: s.leaf(names=x509.SubjectAlternativeName(
    [x509.DNSName("hr-bot.example.org")])), "subject")
row("its-id-as-common-name", lambda s: s.leaf(names=None, subject=HR[:64]),
    "subject")
row("two-ids", lambda s: s.leaf(names=uris(
    HR, f"spiffe://{ORG}/agent/adviser")), "subject")
row("its-id-twice", lambda s: s.leaf(names=uris(HR, HR)), "subject")
row("an-id-and-a-web-page", lambda s: s.leaf(names=uris(
    HR, "https://example.org/agent/hr-bot")), "subject")

for _name, _id in {
        "of-another-scheme": "https://example.org/agent/hr-bot",
        "without-scheme": "example.org/agent/hr-bot",
        "without-slashes": "spiffe:example.org/agent/hr-bot",
        "in-capital-letters": f"spiffe://{ORG.upper()}/agent/hr-bot",
        "of-the-domain": f"spiffe://{ORG}",
        "with-a-slash-at-the-end": HR + "/",
        "with-an-empty-segment": f"spiffe://{ORG}//agent/hr-bot",
        "with-dots": f"spiffe://{ORG}/agent/./hr-bot",
        "that-goes-up": f"spiffe://{ORG}/agent/adviser/../hr-bot",
        "with-escapes": f"spiffe://{ORG}/agent/hr%2Dbot",
        "with-a-query": HR + "?as=adviser",
        "with-a-fragment": HR + "#adviser",
        "with-a-port": f"spiffe://{ORG}:8443/agent/hr-bot",
        "with-a-user": f"spiffe://adviser@{ORG}/agent/hr-bot",
        "with-a-space": f"spiffe://{ORG}/agent/hr bot",
        "with-a-nul": HR + "\x00.adviser",
        "with-a-new-line": HR + "\n",
        "too-long": f"spiffe://{ORG}/agent/" + "h" * 2048,
        "of-a-domain-too-long": f"spiffe://{'e' * 256}/agent/hr-bot"}.items():
    row("an-id-" + _name, lambda s, text=_id: s.leaf(names=uris(text)),
        "subject")

row("an-id-that-is-empty", lambda s: s.leaf(names=uris("")), None)
row("an-unknown-domain", lambda s: s.leaf(names=uris(
    "spiffe://unknown.example/agent/hr-bot")), "untrusted")
row("an-unknown-agent", lambda s: s.leaf(names=uris(
    f"spiffe://{ORG}/agent/nobody")), "unknown-agent")
row("an-agent-that-was-retired", lambda s: s.leaf(names=uris(
    f"spiffe://{ORG}/agent/old-bot")), "not-active")
row("an-agent-that-was-suspended", lambda s: s.leaf(names=uris(
    f"spiffe://{ORG}/agent/parked-bot")), "not-active")

row("an-authority", lambda s: s.leaf(authority=True), "authority")
row("an-authority-in-every-way", lambda s: s.leaf(
    authority=True, use=usage("digital_signature", "key_cert_sign")),
    "authority")
row("may-sign-certificates", lambda s: s.leaf(
    use=usage("digital_signature", "key_cert_sign")), "authority")
row("may-sign-revocations", lambda s: s.leaf(
    use=usage("digital_signature", "crl_sign")), "key-usage")
row("no-usage", lambda s: s.leaf(use=None), "key-usage")
row("usage-that-is-not-critical", lambda s: s.leaf(critical=False),
    "key-usage")
row("a-key-for-agreement", lambda s: s.leaf(use=usage("key_agreement")), None)
row("for-servers-alone", lambda s: s.leaf(extended=x509.ExtendedKeyUsage(
    [ExtendedKeyUsageOID.SERVER_AUTH])), "key-usage")
row("for-signing-programs", lambda s: s.leaf(extended=x509.ExtendedKeyUsage(
    [ExtendedKeyUsageOID.CODE_SIGNING])), "key-usage")


def _foreign(s, **options):
    other = SpiffeCa(s.folder / f"other-{s.count}", ORG)
    return Signer.of(other)


def _altered(s):
    """The last bit of the signature is another one."""
    made = s.sign()
    der = bytearray(made.cert.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return s.write(made.key, ssl.DER_cert_to_PEM_cert(bytes(der)).encode())


def _renamed(s):
    """What was signed says adviser, by as many letters."""
    made = s.sign(names=uris(f"spiffe://{ORG}/agent/xx-bot"))
    der = made.cert.public_bytes(serialization.Encoding.DER)
    assert der.count(b"/xx-bot") == 1
    der = der.replace(b"/xx-bot", b"/hr-bot")
    return s.write(made.key, ssl.DER_cert_to_PEM_cert(der).encode())


def _first_version(s):
    """openssl writes version 1 where no extension is asked for."""
    base = s.folder / "first"
    harness.run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                base.with_suffix(".key"), "-out", base.with_suffix(".csr"),
                "-subj", "/O=first")
    harness.run("openssl", "x509", "-req", "-in", base.with_suffix(".csr"),
                "-CA", s.org.cert, "-CAkey", s.org.key, "-set_serial", "7",
                "-days", "1", "-out", base.with_suffix(".crt"))
    return base.with_suffix(".crt"), base.with_suffix(".key")


def _unknown(critical, size=8):
    return [(x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x04" + bytes(size)),
             critical)]


row("signed-by-itself", lambda s: s.leaf(itself=True), "untrusted")
row("signed-by-a-foreign-authority-of-its-domain",
    lambda s: s.leaf(by=_foreign(s)), "untrusted")
row("in-the-name-of-the-authority-by-another-key", lambda s: s.leaf(
    by=_foreign(s), issuer=s.signer.cert.subject), "untrusted")
row("with-its-foreign-authority-in-the-chain",
    lambda s: s.below(_foreign(s)), "untrusted")
row("with-the-right-authority-behind-a-foreign-leaf", lambda s: s.write(
    (made := s.sign(by=_foreign(s))).key, made.cert, s.signer.cert),
    "untrusted")
row("a-signature-that-was-altered", _altered, "untrusted")
row("a-name-that-was-altered", _renamed, "untrusted")
row("below-another-agent", lambda s: s.below(
    s.sign(names=uris(f"spiffe://{ORG}/agent/adviser"))), "malformed")
row("below-one-that-is-no-authority", lambda s: s.below(
    s.between(authority=False, use=SIGNING)), "untrusted")
row("below-one-that-may-not-sign", lambda s: s.below(
    s.between(use=usage("crl_sign"))), "untrusted")
row("below-one-that-has-expired", lambda s: s.below(
    s.between(start=-7200, end=-60)), "expired")
row("without-the-one-between", lambda s: s.leaf(by=s.between()), "untrusted")
row("with-another-one-between", lambda s: s.write(
    (made := s.sign(by=s.between())).key, made.cert, s.between().cert),
    "untrusted")
row("below-more-than-its-authority-allows", lambda s: s.below(
    s.between(path=0), (s.between(by=s.between(path=0)))), "untrusted")
row("a-path-that-is-too-long-by-its-own-words", lambda s: s.below(
    *(lambda first: [first, s.between(by=first, subject="second")])(
        s.between(path=0, subject="first"))), "untrusted")
row("a-chain-that-is-too-long", lambda s: s.below(*s.line(10)), "malformed")
row("of-the-first-version", _first_version, "malformed")
row("a-critical-extension-nobody-knows",
    lambda s: s.leaf(more=_unknown(True)), "untrusted")
row("a-huge-certificate", lambda s: s.leaf(more=_unknown(False, 70_000)),
    "malformed")
row("a-signature-by-sha-1", lambda s: s.leaf(digest=hashes.SHA1()),
    "untrusted")
row("a-small-key", lambda s: s.leaf(key=rsa.generate_private_key(65537, 1024)),
    "untrusted")
row("names-its-authority-must-not-speak-for", lambda s: s.below(s.between(
    more=[(x509.NameConstraints(None, [x509.UniformResourceIdentifier(ORG)]),
           True)])), "untrusted")


# ---- the stage ----

def gone(name, status):
    return agent(name, status=status,
                 identities=[f"spiffe://{ORG}/agent/{name}"])


@pytest.fixture(scope="module")
def org(tmp_path_factory):
    return SpiffeCa(tmp_path_factory.mktemp("org"), ORG)


@pytest.fixture(scope="module")
def authority(tmp_path_factory, org):
    if not harness.built("writ", "writd", "writ-keeper", "writ-connect-null"):
        pytest.skip("needs a build")
    tls = web.Ca(tmp_path_factory.mktemp("tls"))
    folder = tmp_path_factory.mktemp("shared") / "authority"
    with TlsAuthority(tls, folder=folder) as made:
        (made.folder / "bundle.json").write_text(json.dumps(bundle(
            made.issuer.jwk(), org.jwk())))
        made.found(drill=False, change=lambda manifests: manifests + [
            gone("old-bot", "retired"), gone("parked-bot", "suspended")])
        made.human("ada").login()
        made.first = made.health()["leaves"]
        yield made


@pytest.fixture(scope="module")
def stage(tmp_path_factory, org):
    return Stage(tmp_path_factory.mktemp("rows"), org)


def ask(authority, svid):
    return call_tls(authority, authority.ca, "GET", "/v1/tasks", cert=svid[0],
                    key=svid[1])


def assert_well(authority, stage):
    """It still takes who is right, and is the process it was."""
    ask(authority, stage.leaf()).ok(200)
    assert authority.process.poll() is None


def lenient(svid, authority):
    """A client that sends what OpenSSL itself would think too weak."""
    context = ssl.create_default_context(cafile=str(authority.ca.cert))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(*svid)
    return context


@pytest.mark.filterwarnings("ignore:SHA1")
@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_a_certificate_that_is_not_right_proves_nobody(authority, stage, case):
    svid = case.make(stage)
    context = lenient(svid, authority)
    try:
        answer = call_tls(authority, authority.ca, "GET", "/v1/tasks",
                          context=context)
    except OSError:
        answer = None
    if case.why is None:
        assert answer is None
    else:
        assert answer is not None and reason(answer) == case.why
    assert_well(authority, stage)


def test_the_table_is_long_and_its_names_are_its_own():
    assert len(ROWS) >= 60
    assert len({case.name for case in ROWS}) == len(ROWS)


def test_a_right_chain_is_taken(authority, stage):
    ask(authority, stage.leaf()).ok(200)
    ask(authority, stage.below(stage.between())).ok(200)
    ask(authority, stage.below(*stage.line(5))).ok(200)


# ---- what is no handshake ----

def hello(version=None):
    """The first flight of a client, as bytes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = version
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def record(kind, body, length=None):
    return struct.pack("!BHH", kind, 0x0303,
                       len(body) if length is None else length) + body


FLIGHTS = {
    "nothing": b"",
    "one-byte": b"\x16",
    "a-record-without-its-body": record(22, b"", 512),
    "half-a-hello": hello()[:97],
    "a-hello-but-its-last-byte": hello()[:-1],
    "a-hello-and-no-more": hello(),
    "two-hellos": hello() + hello(),
    "a-hello-with-a-wrong-length": hello()[:6] + b"\xff\xff\xff" + hello()[9:],
    "an-empty-record": record(22, b""),
    "a-record-that-is-too-large": record(22, bytes(20_000)),
    "an-alert": record(21, b"\x02\x28"),
    "data-before-keys": record(23, b"GET / HTTP/1.1\r\n\r\n"),
    "a-record-of-no-kind": record(99, b"hello"),
    "zeros": bytes(4096),
    "plain-http": b"GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a-certificate-before-a-hello": record(22, b"\x0b\x00\x00\x03\x00\x00\x00"),
}


def answered(authority, data):
    """What comes back until the other side ends."""
    parts = b""
    with socket.create_connection(("127.0.0.1", authority.port),
                                  timeout=harness.PATIENCE) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                parts += part
        except TimeoutError:
            raise
        except OSError:
            pass  # the other side was faster
    return parts


@pytest.mark.parametrize("name", FLIGHTS)
def test_what_is_no_handshake_gets_no_answer_of_http(authority, stage, name):
    assert b"HTTP/1.1 200" not in answered(authority, FLIGHTS[name])
    assert_well(authority, stage)


def test_connections_that_never_go_on_keep_nobody_out(authority, stage):
    idle = [socket.create_connection(("127.0.0.1", authority.port))
            for _ in range(64)]
    for connection in idle:
        connection.sendall(hello()[:40])
    assert_well(authority, stage)
    for connection in idle:
        connection.close()


def test_a_handshake_cut_behind_its_certificate_is_no_proof(authority, stage):
    svid = stage.leaf()
    context = lenient(svid, authority)
    inward, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(inward, out, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", authority.port),
                                  timeout=harness.PATIENCE) as connection:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(out.read())
                inward.write(connection.recv(65536))
        flight = out.read()
        connection.sendall(flight[:len(flight) // 2])
    assert_well(authority, stage)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1,
                                     ssl.TLSVersion.TLSv1_1])
def test_an_old_version_of_tls_is_refused(authority, stage, version):
    context = lenient(stage.leaf(), authority)
    context.minimum_version = context.maximum_version = version
    with pytest.raises(OSError):
        call_tls(authority, authority.ca, "GET", "/v1/tasks", context=context)
    assert_well(authority, stage)


# ---- afterwards ----

def test_nothing_but_refusals_was_recorded(authority):
    kinds = {leaf["kind"] for leaf in
             stories.leaves(authority)[authority.first:]}
    assert kinds <= {"refused", "login"}
    assert authority.human("ada").get("/v1/tasks").ok()["tasks"] == []


def test_the_daemon_is_well_and_no_sanitizer_found_anything(authority):
    assert authority.health()["status"] == "ok"
    log = authority.log(all_starts=True)
    assert "Sanitizer" not in log and "runtime error" not in log
    assert authority.stop() == 0
