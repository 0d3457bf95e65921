"""X.509-SVIDs over mutual TLS prove an agent on every call; a token beside it
must be the same agent's."""
import http.client
import json
import ssl

import harness
import pytest
import web
from harness import wait_until
from identity import (SpiffeCa, agent, bundle, call_tls, chained, reason,
                      trust_domain)
from tokens import Issuer

ORG = "example.org"
HR = "/agent/hr-bot"


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """The authority of writd's own certificate."""
    return web.Ca(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def org(tmp_path_factory):
    return SpiffeCa(tmp_path_factory.mktemp("org"), ORG)


class Tls:
    """An authority that serves TLS, as its callers see it."""

    def __init__(self, authority, ca):
        self.authority = authority
        self.ca = ca

    def call(self, method, path, svid=(None, None), **more):
        return call_tls(self.authority, self.ca, method, path, cert=svid[0],
                        key=svid[1], **more)

    def who(self, svid=(None, None), **more):
        return self.call("GET", "/v1/tasks", svid, **more)


@pytest.fixture
def open_tls(make_authority, tls, org, monkeypatch):
    """open_tls(more manifests...) is an authority over TLS whose own trust
    domain has an authority for X.509-SVIDs."""
    def make():
        cert, key = tls.issue("writd")
        authority = make_authority(config_changes={
            "tls": {"cert": str(cert), "key": str(key)}})
        return Tls(authority, tls)

    def plain_call(self, method, path, body=None, bearer=None, headers=None,
                   timeout=None):
        del timeout
        if isinstance(body, bytes):
            body = json.loads(body)
        return call_tls(self, tls, method, path, body, bearer=bearer,
                        headers=headers)
    monkeypatch.setattr(harness.Authority, "call", plain_call)

    def founded(*manifests, keys=(), **spec):
        opened = make()
        authority = opened.authority
        path = authority.folder / "bundle.json"
        path.write_text(json.dumps(bundle(
            authority.issuer.jwk(), *(keys or (org.jwk(),)))))

        def change(all_manifests):
            for manifest in all_manifests:
                if manifest["kind"] == "TrustDomain":
                    manifest["spec"].update(spec)
            return all_manifests + list(manifests)
        authority.found(drill=False, change=change)
        return opened
    return founded


@pytest.fixture
def opened(open_tls):
    return open_tls()


def test_an_svid_proves_its_agent_on_every_call(opened, org):
    svid = org.issue(HR)
    opened.who(svid).ok()
    task = opened.call("POST", "/v1/tasks", svid, body={
        "class": "identity-ops", "intent": "new people",
        "targets": ["corp-directory"], "ttl": "1h"},
        headers={"Idempotency-Key": "one"}).ok(201)
    shown = opened.call("GET", f"/v1/tasks/{task['id']}", svid).ok()
    assert shown["agent"] == "hr-bot"


def test_without_certificate_and_token_nobody_is_known(opened):
    assert reason(opened.who()) == "missing"
    opened.call("GET", "/v1/health").ok()


def test_an_svid_by_way_of_an_authority_between_is_taken(opened, org,
                                                         tmp_path):
    middle = org.issue(f"spiffe://{ORG}", ca=True,
                       usage="critical,keyCertSign", extended="")
    cert, key = org.issue(HR, by=middle)
    assert reason(opened.who((cert, key))) == "untrusted"
    opened.who((chained(tmp_path, cert, middle[0]), key)).ok()


@pytest.mark.parametrize("uris, options, why", [
    ([HR, "/agent/adviser"], {}, "subject"),
    ([HR, "https://a.example/x"], {}, "subject"),
    ([], {}, "subject"),
    ([f"spiffe://{ORG}"], {}, "subject"),
    (["https://example.org/agent/hr-bot"], {}, "subject"),
    (["spiffe://example.org/agent/../hr-bot"], {}, "subject"),
    (HR, {"ca": True}, "authority"),
    (HR, {"usage": "critical,digitalSignature,keyCertSign"}, "authority"),
    (HR, {"usage": "digitalSignature"}, "key-usage"),
    (HR, {"extended": "serverAuth"}, "key-usage"),
    (HR, {"start": -7200, "end": -60}, "expired"),
    (HR, {"start": 3600, "end": 7200}, "not-yet-valid"),
    (HR, {"end": 40 * 3600}, "lives-too-long"),
    ("spiffe://unknown.example/agent/hr-bot", {}, "untrusted"),
    ("/agent/nobody", {}, "unknown-agent"),
])
def test_a_certificate_that_is_no_right_svid_is_refused(opened, org, uris,
                                                        options, why):
    assert reason(opened.who(org.issue(uris, **options))) == why
    opened.who(org.issue(HR)).ok()


def test_a_foreign_chain_is_refused(opened, tmp_path, org):
    other = SpiffeCa(tmp_path / "other", ORG)
    cert, key = other.issue(HR)
    assert reason(opened.who((cert, key))) == "untrusted"
    assert reason(opened.who((chained(tmp_path, cert, other.cert),
                              key))) == "untrusted"
    assert reason(opened.who((chained(tmp_path, cert, org.cert),
                              key))) == "untrusted"


def test_an_svid_below_another_agents_is_refused(opened, org, tmp_path):
    leaf = org.issue("/agent/adviser")
    cert, key = org.issue(HR, by=leaf)
    assert opened.who((chained(tmp_path, cert, leaf[0]), key)).status == 401


def test_a_certificate_whose_key_is_not_held_is_no_proof(opened, org,
                                                         tmp_path):
    stolen, _ = org.issue(HR)
    _, other_key = org.issue("/agent/adviser")
    with pytest.raises(ssl.SSLError):
        opened.who((stolen, other_key))


def test_a_key_that_is_not_for_signing_does_not_even_connect(opened, org):
    with pytest.raises(OSError):
        opened.who(org.issue(HR, usage="critical,keyAgreement"))


def test_a_header_with_a_certificate_is_no_proof(opened, org):
    pem = org.issue(HR)[0].read_text().replace("\n", "")
    for name in ("X-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert"):
        assert reason(opened.who(headers={name: pem})) == "missing"


def test_a_domains_authority_does_not_speak_for_another_domain(
        open_tls, tmp_path, org):
    net = SpiffeCa(tmp_path / "net", "example.net")
    path = tmp_path / "net.json"
    path.write_text(json.dumps(bundle(net.jwk())))
    opened = open_tls(
        trust_domain("net", trustDomain="example.net", bundleFile=str(path)),
        agent("net-bot", identities=["spiffe://example.net/net-bot"]))
    opened.who(net.issue("/net-bot")).ok()
    assert reason(opened.who(net.issue(
        f"spiffe://{ORG}{HR}"))) == "untrusted"
    assert reason(opened.who(org.issue(
        "spiffe://example.net/net-bot"))) == "untrusted"


def test_a_bundle_that_loses_the_authority_ends_its_svids(opened, org):
    svid = org.issue(HR)
    opened.who(svid).ok()
    path = opened.authority.folder / "bundle.json"
    path.write_text(json.dumps(bundle(opened.authority.issuer.jwk())))
    wait_until(lambda: opened.who(svid).status == 401, "the new bundle")
    assert reason(opened.who(svid)) == "untrusted"


def test_a_certificates_end_is_seen_on_an_open_connection(opened, org):
    cert, key = org.issue(HR, end=4)
    context = ssl.create_default_context(cafile=str(opened.ca.cert))
    context.load_cert_chain(cert, key)
    connection = http.client.HTTPSConnection(
        "127.0.0.1", opened.authority.port, context=context, timeout=60)

    def status():
        connection.request("GET", "/v1/tasks")
        answer = connection.getresponse()
        answer.read()
        return answer.status
    assert status() == 200
    wait_until(lambda: status() == 401, "the certificate's end")
    connection.close()


def test_a_domain_may_allow_certificates_that_live_longer(open_tls, org):
    opened = open_tls(longestCertificate="7d")
    opened.who(org.issue(HR, end=40 * 3600)).ok()
    assert reason(opened.who(org.issue(
        HR, end=8 * 86400))) == "lives-too-long"


# Together with a token.

def test_token_and_certificate_of_one_agent_are_taken(opened, org):
    bot = opened.authority.agent("hr-bot")
    opened.who(org.issue(HR), bearer=bot.token()).ok()


def test_token_and_certificate_of_two_agents_are_refused(opened, org):
    adviser = opened.authority.agent("adviser")
    svid = org.issue(HR)
    assert reason(opened.who(svid, bearer=adviser.token())) == "two-callers"
    session = opened.authority.human("ada").login()
    opened.who(bearer=session).ok()
    assert reason(opened.who(svid, bearer=session)) == "two-callers"


def test_a_good_token_does_not_help_a_bad_certificate_nor_the_other_way(
        opened, org, tmp_path):
    bot = opened.authority.agent("hr-bot")
    expired = org.issue(HR, start=-7200, end=-60)
    assert reason(opened.who(expired, bearer=bot.token())) == "expired"
    forged = Issuer(ORG, kid="other").mint(HR, opened.authority.audience)
    assert reason(opened.who(org.issue(HR), bearer=forged)) == "untrusted"
    other = SpiffeCa(tmp_path / "other", ORG).issue(HR)
    assert reason(opened.who(other, bearer=bot.token())) == "untrusted"


def test_a_suspended_agents_svid_is_refused(opened, org):
    svid = org.issue(HR)
    opened.who(svid).ok()
    manifest = opened.authority.inventory("Agent", "hr-bot").ok()
    kept = {k: manifest[k] for k in ("kind", "metadata", "spec")}
    kept["spec"]["status"] = "suspended"
    opened.authority.apply([kept])
    assert reason(opened.who(svid)) == "not-active"
