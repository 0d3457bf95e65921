"""An authority that gives tokens, over TLS, and what its clients send."""
import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import time
import urllib.parse

import harness
import identity
import tokens
import web

BILLING = "https://billing.example/"
BOUND = "https://bound.example/api"
GRANT = "urn:ietf:params:oauth:grant-type:"
TYPE = "urn:ietf:params:oauth:token-type:"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:"
FORM = "application/x-www-form-urlencoded"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def target(name, audience, **issues):
    return {"kind": "Target", "metadata": {"name": name}, "spec": {
        "issues": {"form": "token", "audience": audience,
                   "verifiers": ["billing-gate"], **issues},
        "owner": "erin", "plane": "directory", "domain": "corp",
        "environment": "staging", "classification": [
            {"match": {"resource": "invoices.read"}, "tier": 0,
             "sensitivity": 0},
            {"match": {"resource": "invoices.write"}, "tier": 2,
             "sensitivity": 2},
            {"match": {"resource": "invoices.list"}, "tier": 0,
             "sensitivity": 0}]}}


def agent(name, **spec):
    return identity.agent(name, identities=[
        f"spiffe://example.org/agent/{name}"], **spec)


def manifests():
    hr = agent("hr-bot", maxDelegationDepth=2, capabilities=[
        "analyze", "execute", "delegate"])
    return [
        hr, agent("worker", maxDelegationDepth=2), agent("billing-gate"),
        target("billing", BILLING), target("bound", BOUND,
                                           binding="required"),
        {"kind": "TaskClass", "metadata": {"name": "api-ops"}, "spec": {
            "owner": "alice", "purpose": "calls of the company's own APIs",
            "domain": "corp", "planes": ["directory"],
            "openers": ["hr-bot", "worker"],
            "actions": ["IssueCredential", "Delegate"], "maxTier": 3,
            "longest": "8h", "approvalWithin": "4h", "softwareKeys": True}},
    ]


def with_tokens(others):
    """The manifests of the demonstration and these."""
    ours = manifests()
    names = {(m["kind"], m["metadata"]["name"]) for m in ours}
    return [m for m in others
            if (m["kind"], m["metadata"]["name"]) not in names] + ours


class Authority(harness.Authority):
    """Over TLS on a port that is known before, for its issuer names it."""

    def __init__(self, ca, **options):
        cert, key = ca.issue("writd")
        port = free_port()
        self.ca = ca
        self.oauth_issuer = f"https://127.0.0.1:{port}"
        super().__init__(config_changes={
            "listen": f"127.0.0.1:{port}",
            "tls": {"cert": str(cert), "key": str(key)},
            "oauth": {"issuer": self.oauth_issuer}},
            # One agent does here what is the work of many days.
            bundle_options=("--bench",), **options)

    @property
    def url(self):
        return self.oauth_issuer

    def connect(self, cert=None):
        context = ssl.create_default_context(cafile=str(self.ca.cert))
        if cert:
            context.load_cert_chain(*cert)
        return http.client.HTTPSConnection("127.0.0.1", self.port,
                                           context=context,
                                           timeout=harness.PATIENCE)

    def exchange(self, method, path, data, headers, cert=None):
        """headers: pairs, so that one can come twice."""
        connection = self.connect(cert)
        try:
            connection.putrequest(method, path)
            for name, value in headers:
                connection.putheader(name, value)
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            return harness.Answer(
                answer.status, {k.lower(): v for k, v in
                                answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def call(self, method, path, body=None, bearer=None, headers=None,
             timeout=None):
        del timeout
        send = dict(headers or {})
        data = body
        if body is not None and not isinstance(body, bytes):
            data = harness.canonical(body).encode()
        if data is not None:
            send.setdefault("Content-Type", "application/json")
        if bearer:
            send["Authorization"] = f"Bearer {bearer}"
        return self.exchange(method, path, data, send.items())


class DpopKey:
    """The client's side of RFC 9449, made here: no library that is packaged
    has it."""

    def __init__(self, kind="ES256"):
        self.signer = tokens.Issuer("none", kind)

    @property
    def jwk(self):
        return self.signer.signer.jwk()

    @property
    def thumbprint(self):
        digest = hashlib.sha256(harness.canonical(self.jwk).encode()).digest()
        return tokens.b64url(digest)

    def proof(self, url, method="POST", nonce=None, head=None, **claims):
        body = {"jti": os.urandom(16).hex(), "htm": method, "htu": url,
                "iat": int(time.time()), **({"nonce": nonce} if nonce else {}),
                **claims}
        header = {"typ": "dpop+jwt", "alg": self.signer.signer.name,
                  "jwk": self.jwk, **(head or {})}
        return self.signer.sign(header, body)


class World:
    """The authority with its inventory and one agent's open task."""

    def __init__(self, folder, ca, org):
        self.org = org
        self.authority = Authority(ca, folder=folder)
        self.authority.start()
        (self.authority.folder / "bundle.json").write_text(json.dumps(
            identity.bundle(self.authority.issuer.jwk(), org.jwk())))
        self.authority.found(drill=False,
                             change=with_tokens)
        self.token_url = self.authority.oauth_issuer + "/oauth/token"
        self.nonce = None

    def close(self):
        self.authority.close()

    # What agents have.

    def agent(self, name="hr-bot"):
        return self.authority.agent(name)

    def open_task(self, name="hr-bot", targets=("billing", "bound"),
                  ttl="1h"):
        return self.agent(name).open_task("api-ops", "to look at invoices",
                                          targets, ttl)

    def assertion(self, name="hr-bot", audience=None, issuer=None, **claims):
        issuer = issuer or self.authority.issuer
        return issuer.mint(f"/agent/{name}", audience or self.token_url,
                           **claims)

    def svid(self, name="hr-bot", **options):
        return self.org.issue(f"/agent/{name}", **options)

    # What they send.

    def send(self, path, fields, headers=(), cert=None, kind=FORM):
        """fields: mapping (a list of values comes several times), or bytes."""
        data = fields
        if not isinstance(fields, bytes):
            data = urllib.parse.urlencode(
                {k: v for k, v in fields.items() if v is not None},
                doseq=True).encode()
        named = [("Content-Type", kind)] if kind else []
        return self.authority.exchange("POST", path, data,
                                       named + list(headers), cert)

    def form(self, task=None, resource=BILLING, scope="invoices.read",
             **changes):
        """The fields of a right call; None leaves one out."""
        fields = {"grant_type": GRANT + "jwt-bearer", "resource": resource,
                  "scope": scope, **changes}
        if task:
            fields["authorization_details"] = json.dumps(
                [{"type": "writ_task", "task": task}])
        if fields["grant_type"] == GRANT + "jwt-bearer":
            fields.setdefault("assertion", self.assertion())
        return fields

    def ask(self, task=None, headers=(), cert=None, **changes):
        return self.send("/oauth/token", self.form(task, **changes), headers,
                         cert)

    def ask_bound(self, key, task, make=None, **changes):
        """Asks with a proof, and with a nonce once one is asked for."""
        make = make or (lambda: key.proof(self.token_url, nonce=self.nonce))
        answer = self.ask(task, [("DPoP", make())], **changes)
        if answer.status == 400 and \
                answer.body["error"] == "use_dpop_nonce":
            self.nonce = answer.headers["dpop-nonce"]
            answer = self.ask(task, [("DPoP", make())], **changes)
        return answer

    def introspect(self, token, name="billing-gate"):
        return self.send("/oauth/introspect", {
            "token": token, "client_assertion": self.assertion(name),
            "client_assertion_type": ASSERTION + "jwt-spiffe"}).ok(200)

    def is_active(self, token, name="billing-gate"):
        return self.introspect(token, name)["active"]

    # What is recorded.

    def count(self, kind):
        import stories  # pylint: disable=import-outside-toplevel
        return sum(leaf["kind"] == kind
                   for leaf in stories.leaves(self.authority))


def error(answer, status, name):
    """An error as RFC 6749, 5.2 has it."""
    assert answer.status == status, f"{answer!r}, wanted {status} {name}"
    body = answer.body
    assert body["error"] == name, f"{answer!r}, wanted {name}"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert all(" " <= c <= "~" and c not in '"\\'
               for c in body.get("error_description", ""))
    return body


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def thumbprint_of(cert):
    der = ssl.PEM_cert_to_DER_cert(
        cert.read_text().split("-----END CERTIFICATE-----")[0]
        + "-----END CERTIFICATE-----\n")
    return tokens.b64url(hashlib.sha256(der).digest())


def make_ca(folder):
    return web.Ca(folder)
