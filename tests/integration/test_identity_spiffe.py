"""Bundles of trust domains from bundle endpoints (SPIFFE Federation) and from
bundle maps; what a domain's keys say counts for that domain alone."""
import json
import time

import pytest
import web
from harness import wait_until
from identity import (SpiffeCa, agent, bundle, load, reason, trust_domain,
                      trust_row, wait_for_trust, whoami)
from tokens import Issuer

NET = "example.net"


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return web.Ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def net_ca(tmp_path_factory):
    return SpiffeCa(tmp_path_factory.mktemp("net"), NET)


@pytest.fixture
def endpoint(ca):
    with web.Server(*ca.issue()) as opened:
        yield opened


@pytest.fixture
def issuer():
    return Issuer(NET)


def outgoing(ca, *allow):
    return {"outgoing": {"allow": list(allow or ("127.0.0.1",)),
                         "ca": str(ca.cert)}}


def domain(endpoint, profile="https_web", path="/bundle", name="net",
           trust=NET, **spec):
    at = {"profile": profile, "url": endpoint.url(path)}
    if "spiffeId" in spec:
        at["spiffeId"] = spec.pop("spiffeId")
    return trust_domain(name, trustDomain=trust, endpoint=at, **spec)


def bot(name="net-bot", trust=NET):
    return agent(name, identities=[f"spiffe://{trust}/{name}"])


@pytest.fixture
def open_with(make_authority, ca):
    def make(*manifests, allow=()):
        authority = make_authority(config_changes=outgoing(ca, *allow))
        return authority.found(drill=False,
                               change=lambda all: all + list(manifests))
    return make


def asks(authority, issuer, path="/net-bot", **more):
    return whoami(authority, issuer.mint(path, authority.audience, **more))


def believed(authority, issuer, **more):
    return asks(authority, issuer, **more).status == 200


def trouble(authority, name=NET):
    return wait_until(lambda: (trust_row(authority, name) or {})
                      .get("trouble"), f"trouble with {name}")


# https_web.

def test_a_bundle_is_fetched_from_its_endpoint(open_with, endpoint, issuer):
    endpoint.json("/bundle", bundle(issuer.jwk()))
    authority = open_with(domain(endpoint), bot())
    wait_for_trust(authority, NET)
    asks(authority, issuer).ok()
    assert endpoint.asked["/bundle"] == 1


def test_until_the_bundle_is_there_nobody_is_believed(open_with, endpoint,
                                                      issuer):
    endpoint.pages["/bundle"] = (503, {"Retry-After": "1"}, b"")
    authority = open_with(domain(endpoint), bot())
    assert "503" in trouble(authority)
    assert reason(asks(authority, issuer)) == "untrusted"


def test_the_refresh_hint_says_when_the_bundle_is_fetched_again(
        open_with, endpoint, issuer):
    second = Issuer(NET, kid="key-2")
    endpoint.json("/bundle", bundle(issuer.jwk(), hint=1))
    authority = open_with(domain(endpoint), bot())
    wait_for_trust(authority, NET)
    endpoint.json("/bundle", bundle(issuer.jwk(), second.jwk(), sequence=2,
                                    hint=1))
    fetched = endpoint.asked["/bundle"]
    wait_until(lambda: endpoint.asked["/bundle"] > fetched, "another fetch")
    wait_until(lambda: believed(authority, second), "the new key")


def test_an_unknown_key_has_the_bundle_fetched_early(open_with, endpoint,
                                                     issuer):
    second = Issuer(NET, kid="key-2")
    endpoint.json("/bundle", bundle(issuer.jwk(), hint=86400))
    authority = open_with(domain(endpoint), bot())
    wait_for_trust(authority, NET)
    endpoint.json("/bundle", bundle(second.jwk(), sequence=2, hint=86400))
    old = issuer.mint("/net-bot", authority.audience)
    whoami(authority, old).ok()
    wait_until(lambda: believed(authority, second), "the new key")
    assert reason(whoami(authority, old)) == "untrusted"


def test_a_bundle_whose_sequence_goes_back_is_not_taken(open_with, endpoint,
                                                        issuer):
    evil = Issuer(NET, kid="old")
    endpoint.json("/bundle", bundle(issuer.jwk(), sequence=7, hint=1))
    authority = open_with(domain(endpoint), bot())
    wait_for_trust(authority, NET)
    endpoint.json("/bundle", bundle(evil.jwk(), sequence=6, hint=1))
    assert "spiffe_sequence went back" in trouble(authority)
    asks(authority, issuer).ok()
    assert reason(asks(authority, evil)) == "untrusted"


def test_a_bundle_that_is_damaged_leaves_the_last_good_one(
        open_with, endpoint, issuer):
    endpoint.json("/bundle", bundle(issuer.jwk(), hint=1))
    authority = open_with(domain(endpoint), bot())
    wait_for_trust(authority, NET)
    endpoint.pages["/bundle"] = (200, {}, b'{"keys":[{"use":"jwt-svid"}]}')
    assert "kid" in trouble(authority)
    asks(authority, issuer).ok()


def test_an_empty_bundle_ends_all_trust(open_with, endpoint, issuer):
    endpoint.json("/bundle", bundle(issuer.jwk(), hint=1))
    authority = open_with(domain(endpoint), bot())
    wait_for_trust(authority, NET)
    asks(authority, issuer).ok()
    endpoint.json("/bundle", bundle(sequence=2, hint=1))
    wait_until(lambda: not believed(authority, issuer), "the end of trust")


def test_a_redirect_to_an_internal_address_is_not_followed(
        open_with, endpoint, issuer, ca):
    with web.Server(*ca.issue()) as inner:
        inner.json("/bundle", bundle(issuer.jwk()))
        endpoint.pages["/bundle"] = (
            302, {"Location": inner.url("/bundle", "localhost")}, b"")
        authority = open_with(domain(endpoint), bot(),
                              allow=[f"127.0.0.1:{endpoint.port}"])
        assert "does not name" in trouble(authority)
        assert not inner.asked


def test_a_redirect_that_may_be_followed_is(open_with, endpoint, issuer):
    endpoint.json("/new", bundle(issuer.jwk()))
    endpoint.pages["/bundle"] = (302, {"Location": endpoint.url("/new")}, b"")
    authority = open_with(domain(endpoint), bot())
    wait_for_trust(authority, NET)
    asks(authority, issuer).ok()


def test_an_endpoint_at_an_address_that_is_not_named_is_not_asked(
        open_with, endpoint, issuer):
    endpoint.json("/bundle", bundle(issuer.jwk()))
    authority = open_with(domain(endpoint), bot(), allow=["127.0.0.9"])
    assert "does not name" in trouble(authority)
    assert not endpoint.asked


# What is kept.

def kept(authority):
    return authority.data / "trust" / f"{NET}.json"


def test_the_last_good_bundle_outlives_a_restart(open_with, endpoint, issuer):
    endpoint.json("/bundle", bundle(issuer.jwk()))
    authority = open_with(domain(endpoint), bot())
    wait_for_trust(authority, NET)
    endpoint.pages["/bundle"] = (500, {}, b"")
    authority.restart()
    asks(authority, issuer).ok()
    trouble(authority)
    asks(authority, issuer).ok()


@pytest.mark.parametrize("how", ["old", "future", "damaged", "elsewhere"])
def test_a_kept_bundle_that_does_not_count_is_not_believed(
        open_with, endpoint, issuer, how):
    endpoint.json("/bundle", bundle(issuer.jwk()))
    authority = open_with(domain(endpoint, staleAfter="1h"), bot())
    wait_for_trust(authority, NET)
    asks(authority, issuer).ok()
    endpoint.pages["/bundle"] = (500, {}, b"")
    authority.stop()
    path = kept(authority)
    found = load(path)
    if how == "old":
        found["fetched"] = int(time.time() * 1000) - 3601 * 1000
    elif how == "future":
        found["fetched"] = int(time.time() * 1000) + 3600 * 1000
    elif how == "elsewhere":
        found["by"] = found["by"].replace("/bundle", "/other")
    path.write_text(json.dumps(found) if how != "damaged" else "{")
    authority.start()
    wait_until(lambda: not believed(authority, issuer),
               "the bundle to be found out")
    assert reason(asks(authority, issuer)) == "untrusted"
    endpoint.json("/bundle", bundle(issuer.jwk(), sequence=2))
    wait_until(lambda: believed(authority, issuer), "it to be fetched")


def test_another_endpoint_begins_anew(open_with, endpoint, issuer):
    endpoint.json("/bundle", bundle(issuer.jwk(), sequence=9))
    authority = open_with(domain(endpoint), bot())
    wait_for_trust(authority, NET)
    second = Issuer(NET, kid="other")
    endpoint.json("/second", bundle(second.jwk(), sequence=1))
    authority.apply([domain(endpoint, path="/second")])
    wait_until(lambda: believed(authority, second), "the other bundle")
    assert reason(asks(authority, issuer)) == "untrusted"


# https_spiffe.

@pytest.fixture
def spiffe_endpoint(net_ca):
    cert, key = net_ca.issue("/endpoint")
    with web.Server(cert, key) as opened:
        yield opened


ENDPOINT_ID = f"spiffe://{NET}/endpoint"


def first_bundle(tmp_path, *keys):
    path = tmp_path / "first.json"
    path.write_text(json.dumps(bundle(*keys)))
    return str(path)


def self_serving(server, tmp_path, net_ca, **more):
    return domain(server, "https_spiffe", spiffeId=ENDPOINT_ID,
                  bundleFile=first_bundle(tmp_path, net_ca.jwk()), **more)


def test_an_endpoint_is_believed_by_the_first_bundle_and_then_by_its_own(
        open_with, spiffe_endpoint, tmp_path, net_ca, issuer):
    spiffe_endpoint.json("/bundle", bundle(issuer.jwk(), net_ca.jwk(),
                                           hint=1))
    authority = open_with(self_serving(spiffe_endpoint, tmp_path, net_ca),
                          bot())
    wait_for_trust(authority, NET)
    asks(authority, issuer).ok()
    # The next bundle no longer has the authority that signed the endpoint.
    other = SpiffeCa(tmp_path / "other", NET)
    spiffe_endpoint.json("/bundle", bundle(issuer.jwk(), other.jwk(),
                                           sequence=2, hint=1))
    assert "certificate is refused: untrusted" in trouble(authority)
    asks(authority, issuer).ok()
    # Somebody gives it another first bundle.
    fetched = spiffe_endpoint.asked["/bundle"]
    spiffe_endpoint.json("/bundle", bundle(issuer.jwk(), net_ca.jwk()))
    first_bundle(tmp_path, net_ca.jwk(), other.jwk())
    wait_until(lambda: spiffe_endpoint.asked["/bundle"] > fetched,
               "the endpoint to be asked again")
    wait_until(lambda: believed(authority, issuer), "it to be believed")


@pytest.mark.parametrize("uris, options, words", [
    ("/other", {}, "the endpoint is not"),
    (["/endpoint", "/other"], {}, "subject"),
    ("/endpoint", {"end": -30}, "expired"),
    ("/endpoint", {"ca": True, "usage": "critical,digitalSignature"},
     "authority"),
    ("/endpoint", {"usage": ""}, "key-usage"),
    ("/endpoint", {"end": 40 * 3600}, "lives-too-long"),
    ("spiffe://example.org/endpoint", {}, "the endpoint is not"),
])
def test_an_endpoint_with_a_certificate_that_is_no_right_svid_is_refused(
        open_with, tmp_path, net_ca, issuer, uris, options, words):
    cert, key = net_ca.issue(uris, **options)
    with web.Server(cert, key) as server:
        server.json("/bundle", bundle(issuer.jwk(), net_ca.jwk()))
        authority = open_with(self_serving(server, tmp_path, net_ca), bot())
        assert words in trouble(authority)
        assert not server.asked
        assert reason(asks(authority, issuer)) == "untrusted"


def test_an_endpoint_with_a_web_certificate_is_no_spiffe_endpoint(
        open_with, endpoint, tmp_path, net_ca, issuer):
    endpoint.json("/bundle", bundle(issuer.jwk()))
    authority = open_with(self_serving(endpoint, tmp_path, net_ca), bot())
    assert "subject" in trouble(authority)
    assert not endpoint.asked


def test_an_endpoint_of_another_domain_is_believed_by_that_ones_bundle(
        open_with, tmp_path, net_ca, issuer, make_authority, ca):
    org = SpiffeCa(tmp_path / "org", "example.com")
    com = trust_domain("com", trustDomain="example.com",
                       bundleFile=first_bundle(tmp_path, org.jwk()))
    cert, key = org.issue("/federation")
    with web.Server(cert, key) as server:
        server.json("/bundle", bundle(issuer.jwk(), net_ca.jwk()))
        authority = open_with(com, bot(), domain(
            server, "https_spiffe",
            spiffeId="spiffe://example.com/federation"))
        wait_for_trust(authority, NET)
        asks(authority, issuer).ok()


# Federation without merging, maps.

def test_a_key_of_one_domain_never_verifies_for_another(
        open_with, endpoint, issuer):
    endpoint.json("/bundle", bundle(issuer.jwk()))
    authority = open_with(domain(endpoint), bot())
    wait_for_trust(authority, NET)
    stolen = issuer.mint("spiffe://example.org/agent/hr-bot",
                         authority.audience)
    assert reason(whoami(authority, stolen)) == "signature"  # the same kid
    other = Issuer(NET, kid="only-net")
    endpoint.json("/bundle", bundle(other.jwk(), sequence=2))
    assert reason(whoami(authority, other.mint(
        "spiffe://example.org/agent/hr-bot",
        authority.audience))) == "untrusted"
    assert reason(whoami(authority, authority.issuer.mint(
        f"spiffe://{NET}/net-bot", authority.audience))) in (
            "signature", "untrusted")


def test_of_a_bundle_map_each_domain_takes_its_own_entry(
        open_with, endpoint, issuer):
    com = Issuer("example.com", kid="com")
    endpoint.json("/bundle", {"trust_domains": {
        NET: bundle(issuer.jwk()), "example.com": bundle(com.jwk()),
        "example.org": bundle(com.jwk())}})
    authority = open_with(
        domain(endpoint), bot(),
        domain(endpoint, name="com", trust="example.com"),
        bot("com-bot", "example.com"))
    wait_for_trust(authority, NET)
    wait_for_trust(authority, "example.com")
    asks(authority, issuer).ok()
    asks(authority, com, "/com-bot").ok()
    assert reason(whoami(authority, com.mint(
        f"spiffe://{NET}/net-bot", authority.audience))) == "untrusted"
    # example.org has a file of its own; the map says nothing of it.
    assert reason(whoami(authority, com.mint(
        "spiffe://example.org/agent/hr-bot",
        authority.audience))) == "untrusted"


def test_a_bundle_map_that_names_a_domain_twice_is_refused(
        open_with, endpoint, issuer):
    entry = json.dumps(bundle(issuer.jwk()))
    endpoint.pages["/bundle"] = (200, {}, (
        '{"trust_domains":{"%s":%s,"%s":%s}}' % (NET, entry, NET, entry)
    ).encode())
    authority = open_with(domain(endpoint), bot())
    trouble(authority)
    assert reason(asks(authority, issuer)) == "untrusted"


def test_a_map_in_a_file_serves_as_well(open_with, issuer, tmp_path):
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"trust_domains": {
        NET: bundle(issuer.jwk())}}))
    authority = open_with(trust_domain("net", trustDomain=NET,
                                       bundleFile=str(path)), bot())
    asks(authority, issuer).ok()


# Manifests.

def test_what_a_manifest_may_not_say_of_a_trust_domain_is_refused(
        shared_authority):
    url = "https://a.example/bundle"
    web_at = {"profile": "https_web", "url": url}
    spiffe_at = {"profile": "https_spiffe", "url": url}
    rows = [
        ({"trustDomain": NET}, "bundleFile or endpoint"),
        ({"trustDomain": NET, "endpoint": web_at, "bundleFile": "/x"},
         "https_web has none"),
        ({"trustDomain": NET, "endpoint": {**web_at, "spiffeId": "x"}},
         "https_web has none"),
        ({"trustDomain": NET, "endpoint": spiffe_at}, "needs it"),
        ({"trustDomain": NET, "endpoint": {
            **spiffe_at, "spiffeId": f"spiffe://{NET}"}}, "with a path"),
        ({"trustDomain": NET, "endpoint": {
            **spiffe_at, "spiffeId": ENDPOINT_ID}}, "first believed by it"),
        ({"trustDomain": NET, "endpoint": {
            **spiffe_at, "spiffeId": "spiffe://none.example/e"}},
         "no TrustDomain for"),
        ({"trustDomain": NET, "endpoint": {
            "profile": "https_web", "url": "ftp://a.example"}}, "https URL"),
        ({"trustDomain": "../evil", "endpoint": web_at}, "only a-z"),
        ({"trustDomain": "example.org", "bundleFile": "/x"}, "already that"),
        ({"trustDomain": NET, "bundleFile": "/x", "staleAfter": "1s"},
         "staleAfter"),
    ]
    for spec, words in rows:
        answer = shared_authority.human("ada").preview(
            [trust_domain("x", **spec)])
        assert answer.status == 422, (spec, answer)
        assert words in answer.text, (spec, answer)
