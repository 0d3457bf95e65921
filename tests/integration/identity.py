"""Identities for tests: OIDC issuers, trust domains with endpoints, and
X.509-SVIDs made by openssl."""
import base64
import http.client
import json
import os
import pathlib
import ssl
import time
import urllib.parse

import harness
import tokens
import web
from harness import run, wait_until

NOW = 0  # as a lifetime: already over


class Platform:
    """A workload platform that issues tokens: its metadata and key set are
    pages of an HTTPS server, its keys rotate as a test says."""

    def __init__(self, ca, path=""):
        self.server = web.Server(*ca.issue())
        self.issuer = self.server.url(path)
        self.path = path
        self.signers = {}
        self.rotate("one")
        self.server.json(path + "/.well-known/openid-configuration",
                         self.metadata())

    def metadata(self, **changes):
        return {"issuer": self.issuer, "jwks_uri": self.server.url("/keys"),
                **changes}

    def rotate(self, *kids, publish=True, algorithm="ES256", **headers):
        """Signs with a new key for each kid; the last one is used."""
        self.signers = {kid: self.signers.get(kid) or tokens.Issuer(
            "none", algorithm, kid) for kid in kids}
        self.kid = kids[-1]
        if publish:
            self.publish(**headers)

    def keys(self):
        return [{**signer.jwk(), "use": "sig"}
                for signer in self.signers.values()]

    def publish(self, **headers):
        headers.setdefault("Cache_Control", "max-age=3600")
        self.server.json("/keys", {"keys": self.keys()}, **headers)

    def token(self, audience, lifetime=600, headers=None, kid=None, **claims):
        """A token for the claims; tokens.DROP leaves one out."""
        now = int(time.time())
        signer = self.signers[kid or self.kid]
        body = {"iss": self.issuer, "aud": audience, "iat": now, "nbf": now,
                "exp": now + lifetime, "sub": "somebody", **claims}
        head = {"alg": signer.signer.name, "kid": signer.kid,
                **(headers or {})}
        return signer.sign(head, body)

    def close(self):
        self.server.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def trust_domain(name, **spec):
    return {"kind": "TrustDomain", "metadata": {"name": name}, "spec": spec}


def agent(name, **spec):
    return {"kind": "Agent", "metadata": {"name": name}, "spec": {
        "owner": "alice", "purpose": "for the test of identities",
        "expires": harness.moment(86400), "capabilities": ["analyze",
                                                           "execute"],
        "clearance": 3, **spec}}


def reason(answer):
    """Why a caller is not believed."""
    return answer.refused(401, "unproved")["reason"]


def whoami(authority, token):
    return authority.call("GET", "/v1/tasks", bearer=token)


def trust_row(authority, name):
    return next((row for row in authority.health()["trust"]
                 if row["name"] == name), None)


def wait_for_trust(authority, name, **members):
    """The row of a trust domain or issuer once it is usable (or as said)."""
    members = members or {"usable": True}

    def right():
        row = trust_row(authority, name)
        return row and all(row.get(k) == v for k, v in members.items()) and row
    return wait_until(right, f"{name} to be {members}")


class SpiffeCa:
    """The authority of a trust domain for X.509-SVIDs, by openssl."""

    def __init__(self, folder, trust_domain="example.org"):
        self.trust_domain = trust_domain
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cert = self.folder / "root.crt"
        self.key = self.folder / "root.key"
        self._count = 0
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out",
            self.cert, "-days", "2", "-subj", f"/O={trust_domain}", "-addext",
            "basicConstraints=critical,CA:TRUE", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign", "-addext",
            f"subjectAltName=URI:spiffe://{trust_domain}")

    def issue(self, uris, ca=False, usage="critical,digitalSignature",
              start=-60, end=3600, by=None, extended="serverAuth,clientAuth",
              extra_names=""):
        """(certificate, key) of a leaf, or of an authority between; uris: one
        SPIFFE ID or path, or several."""
        self._count += 1
        uris = [uris] if isinstance(uris, str) else uris
        uris = [f"spiffe://{self.trust_domain}{u}" if u.startswith("/") else u
                for u in uris]
        base = self.folder / f"svid-{self._count}"
        cert, key = base.with_suffix(".crt"), base.with_suffix(".key")
        lines = [f"basicConstraints=critical,CA:{'TRUE' if ca else 'FALSE'}"]
        names = [f"URI:{u}" for u in uris] + (
            [extra_names] if extra_names else [])
        if names:
            lines.append("subjectAltName=" + ",".join(names))
        if usage:
            lines.append("keyUsage=" + usage)
        if extended:
            lines.append("extendedKeyUsage=" + extended)
        base.with_suffix(".ext").write_text("\n".join(lines) + "\n")
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
            base.with_suffix(".csr"), "-subj", "/O=svid")
        signer = by or (self.cert, self.key)
        self._sign(base, signer, cert, start, end)
        return cert, key

    def _sign(self, base, signer, cert, start, end):
        """openssl ca, the only one of its commands that takes both dates."""
        stamp = "%y%m%d%H%M%SZ"
        now = time.time()
        (self.folder / "index.txt").write_text("")
        (self.folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=c\n[c]\ndatabase={0}/index.txt\n"
            "new_certs_dir={0}\ndefault_md=sha256\npolicy=p\n"
            "rand_serial=yes\nunique_subject=no\n[p]\n"
            "organizationName=optional\n".format(self.folder))
        run("openssl", "ca", "-batch", "-notext", "-config",
            self.folder / "ca.cnf", "-cert", signer[0], "-keyfile", signer[1],
            "-in", base.with_suffix(".csr"), "-out", cert, "-extfile",
            base.with_suffix(".ext"), "-startdate",
            time.strftime(stamp, time.gmtime(now + start)), "-enddate",
            time.strftime(stamp, time.gmtime(now + end)))

    def jwk(self):
        der = ssl.PEM_cert_to_DER_cert(self.cert.read_text())
        return {"kty": "EC", "use": "x509-svid",
                "x5c": [base64.b64encode(der).decode()]}


def bundle(*keys, sequence=1, hint=300):
    return {"spiffe_sequence": sequence, "spiffe_refresh_hint": hint,
            "keys": list(keys)}


def chained(folder, *certs):
    """One PEM file of several."""
    path = pathlib.Path(folder) / f"chain-{os.urandom(4).hex()}.pem"
    path.write_text("".join(pathlib.Path(c).read_text() for c in certs))
    return path


def call_tls(authority, ca, method, path, body=None, cert=None, key=None,
             bearer=None, headers=None, context=None):
    """One exchange over TLS, with a client's certificate if there is one, or
    as context says."""
    context = context or ssl.create_default_context(cafile=str(ca.cert))
    if cert:
        context.load_cert_chain(cert, key)
    send = dict(headers or {})
    data = None
    if body is not None:
        data = harness.canonical(body).encode()
        send["Content-Type"] = "application/json"
    if bearer:
        send["Authorization"] = f"Bearer {bearer}"
    connection = http.client.HTTPSConnection("127.0.0.1", authority.port,
                                             context=context,
                                             timeout=harness.PATIENCE)
    try:
        connection.request(method, path, data, send)
        answer = connection.getresponse()
        return harness.Answer(answer.status,
                              {k.lower(): v for k, v in answer.getheaders()},
                              answer.read())
    finally:
        connection.close()


def quoted(text):
    return urllib.parse.quote(text, safe="")


def load(path):
    return json.loads(pathlib.Path(path).read_text())


class TlsAuthority(harness.Authority):
    """An authority that serves TLS with a certificate of ca."""

    def __init__(self, ca, **options):
        cert, key = ca.issue("writd")
        self.ca = ca
        super().__init__(config_changes={
            "tls": {"cert": str(cert), "key": str(key)}}, **options)

    def call(self, method, path, body=None, bearer=None, headers=None,
             timeout=None):
        del timeout
        if isinstance(body, bytes):
            body = json.loads(body)
        return call_tls(self, self.ca, method, path, body, bearer=bearer,
                        headers=headers)
