"""OIDC workload tokens prove an agent: found by discovery, by the issuer's own
keys, and by the rules of the agent's manifest."""
import time

import pytest
import web
from harness import program, run, wait_until
from identity import (Platform, agent, reason, trust_domain, trust_row,
                      wait_for_trust, whoami)
from tokens import DROP, Issuer

SUB = "system:serviceaccount:ops:hr"


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return web.Ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def platform(ca):
    with Platform(ca) as opened:
        yield opened


def outgoing(ca, *allow):
    return {"outgoing": {"allow": list(allow or ("127.0.0.1",)),
                         "ca": str(ca.cert)}}


def cluster(platform, **more):
    return trust_domain("cluster", oidc={"issuer": platform.issuer, **more})


def pod(platform, name="pod", **claims):
    return agent(name, oidc=[{"issuer": platform.issuer,
                              "claims": claims or {"sub": SUB}}])


@pytest.fixture
def open_cluster(make_authority, ca, platform):
    """open_cluster(more manifests..., **oidc) is an authority that knows the
    platform, once it has its keys."""
    def make(*manifests, wait=True, allow=(), **oidc):
        authority = make_authority(config_changes=outgoing(ca, *allow))
        authority.found(drill=False, change=lambda all: all + [
            cluster(platform, **oidc), *manifests])
        if wait:
            wait_for_trust(authority, platform.issuer)
        return authority
    return make


@pytest.fixture
def known(open_cluster, platform):
    return open_cluster(pod(platform), singleUse=False)


def token(authority, platform, **more):
    return platform.token(authority.audience, **{"sub": SUB, **more})


def refused(authority, platform, **more):
    return reason(whoami(authority, token(authority, platform, **more)))


def test_a_token_of_the_issuer_is_the_agents_whose_rule_it_fits(
        known, platform):
    whoami(known, token(known, platform)).ok()
    task = known.call("POST", "/v1/explain", {}, token(known, platform),
                      {"Idempotency-Key": "k1"})
    assert task.status == 422, task  # known as an agent, the body is empty
    assert platform.server.asked["/.well-known/openid-configuration"] == 1
    assert platform.server.asked["/keys"] == 1


def test_header_members_of_platforms_are_passed_over_but_not_crit(
        known, platform):
    whoami(known, token(known, platform, headers={
        "x5t": "abc", "typ": "JWT", "jku": "https://evil.example/"})).ok()
    assert refused(known, platform, headers={"crit": ["x"], "x": 1}) == "header"
    assert refused(known, platform, headers={"typ": "logout+jwt"}) == "header"


def test_a_token_of_an_unknown_issuer_is_refused(known, platform):
    assert refused(known, platform, iss="https://other.example") in (
        "subject", "issuer")
    assert refused(known, platform, iss=platform.issuer + "/") in (
        "subject", "issuer")
    assert refused(known, platform, iss=DROP) in ("subject", "issuer")


def test_a_token_for_another_audience_is_refused(known, platform):
    for aud in ("https://other.example", [], ["a", "b"], 1, DROP,
                [known.audience, 1]):
        assert refused(known, platform, aud=aud) == "audience", aud
    whoami(known, token(known, platform, aud=["a", known.audience])).ok()


def test_a_token_out_of_its_time_is_refused(known, platform):
    now = int(time.time())
    assert refused(known, platform, exp=now - 60) == "expired"
    assert refused(known, platform, exp=DROP) == "expired"
    assert refused(known, platform, nbf=now + 60) == "not-yet-valid"
    assert refused(known, platform, iat=now + 60) == "not-yet-valid"
    assert refused(known, platform, exp="soon") == "malformed"


def test_a_token_that_lives_too_long_is_refused(known, platform):
    whoami(known, token(known, platform, lifetime=3600)).ok()
    assert refused(known, platform, lifetime=3700) == "lives-too-long"


def test_an_issuer_may_have_its_own_lifetime(open_cluster, platform):
    short = open_cluster(pod(platform), longestToken="5m", singleUse=False)
    whoami(short, token(short, platform, lifetime=300)).ok()
    assert refused(short, platform, lifetime=301) == "lives-too-long"


def test_a_token_signed_by_somebody_else_is_refused(known, platform):
    other = Issuer("none", kid=platform.kid)
    real = token(known, platform)
    forged = other.sign({"alg": "ES256", "kid": platform.kid}, {
        "iss": platform.issuer, "aud": known.audience, "sub": SUB,
        "iat": int(time.time()), "exp": int(time.time()) + 60})
    assert reason(whoami(known, forged)) == "signature"
    head, body, _ = real.split(".")
    assert reason(whoami(known, f"{head}.{body}.{'A' * 86}")) == "signature"


def test_an_algorithm_that_is_not_the_keys_is_refused(known, platform):
    assert refused(known, platform, headers={"alg": "RS256"}) == "algorithm"
    assert refused(known, platform, headers={"alg": "HS256"}) == "algorithm"
    assert refused(known, platform, headers={"alg": "none"}) == "algorithm"
    assert refused(known, platform, headers={"alg": "ES384"}) == "algorithm"


def test_an_rsa_key_of_the_set_is_taken(known, platform):
    platform.rotate("one", "rsa", algorithm="RS256")
    wait_until(lambda: whoami(known, token(known, platform)).status == 200,
               "the new key to be fetched")


def test_a_spiffe_id_in_sub_is_never_taken_from_an_oidc_issuer(
        open_cluster, platform):
    stolen = "spiffe://example.org/agent/hr-bot"
    authority = open_cluster(pod(platform, sub=stolen))
    assert refused(authority, platform, sub=stolen)


def test_a_trust_domains_key_does_not_speak_for_an_issuer(known, platform):
    forged = known.issuer.sign(
        {"alg": "ES256", "kid": known.issuer.kid},
        {"iss": platform.issuer, "aud": known.audience, "sub": SUB,
         "iat": int(time.time()), "exp": int(time.time()) + 60})
    assert reason(whoami(known, forged)) == "untrusted"


def test_an_issuers_key_does_not_speak_for_a_trust_domain(known, platform):
    assert refused(known, platform,
                   sub="spiffe://example.org/agent/hr-bot") == "untrusted"


def test_one_issuers_key_does_not_speak_for_another(
        make_authority, ca, platform):
    with Platform(ca) as second:
        authority = make_authority(config_changes=outgoing(ca))
        authority.found(drill=False, change=lambda all: all + [
            cluster(platform, singleUse=False), pod(platform),
            trust_domain("second", oidc={"issuer": second.issuer})])
        wait_for_trust(authority, platform.issuer)
        wait_for_trust(authority, second.issuer)
        assert reason(whoami(authority, second.token(
            authority.audience, sub=SUB,
            iss=platform.issuer))) in ("signature", "untrusted")
        assert reason(whoami(authority, second.token(
            authority.audience, sub=SUB))) == "unknown-agent"


def test_a_rotated_key_is_found_when_a_token_names_it(known, platform):
    platform.rotate("one", "two")
    assert refused(known, platform) == "untrusted"
    wait_until(lambda: whoami(known, token(known, platform)).status == 200,
               "the new key to be fetched")
    platform.rotate("two")
    whoami(known, token(known, platform)).ok()


def test_unknown_keys_do_not_make_the_issuer_be_asked_without_end(
        known, platform):
    platform.rotate("one", "secret", publish=False)
    for _ in range(50):
        assert refused(known, platform) == "untrusted"
    before = platform.server.asked["/keys"]
    assert before <= 3
    whoami(known, token(known, platform, kid="one")).ok()


def test_a_withdrawn_key_is_refused_once_the_set_is_fetched_again(
        known, platform):
    old = token(known, platform)
    whoami(known, old).ok()
    platform.rotate("two")
    assert refused(known, platform) == "untrusted"  # and so it is fetched
    wait_until(lambda: whoami(known, token(known, platform)).status == 200,
               "the new key")
    assert reason(whoami(known, old)) == "untrusted"


def test_a_jti_serves_one_acting_call_unless_the_manifest_says_other(
        open_cluster, platform):
    authority = open_cluster(pod(platform))
    used = token(authority, platform, jti="one")
    body = {"class": "identity-ops", "intent": "x" * 10,
            "targets": ["corp-directory"], "ttl": "1h"}

    def act(key):
        return authority.call("POST", "/v1/tasks", body, used,
                              {"Idempotency-Key": key})
    first = act("one")
    assert first.status != 401, first
    if first.status == 201:
        assert act("two").status == 401


# Rules.

def k8s(namespace, name):
    return {"kubernetes.io": {"namespace": namespace,
                              "serviceaccount": {"name": name, "uid": "u"}}}


def test_rules_may_name_claims_that_lie_deeper_and_several_values(
        open_cluster, platform):
    authority = open_cluster(pod(platform, **{
        "sub": [SUB, "system:serviceaccount:ops:other"],
        "/kubernetes.io/namespace": "ops",
        "/kubernetes.io/serviceaccount/name": ["hr", "other"]}),
        singleUse=False)
    whoami(authority, token(authority, platform, **k8s("ops", "hr"))).ok()
    whoami(authority, token(authority, platform, sub=SUB[:-2] + "other",
                            **k8s("ops", "other"))).ok()
    for claims in (k8s("dev", "hr"), k8s("ops", "HR"), k8s("ops", ["hr"]),
                   k8s(1, "hr"), {"kubernetes.io": "ops"}, {},
                   {"/kubernetes.io/namespace": "ops"}):
        assert refused(authority, platform, **claims) == "unknown-agent"
    assert refused(authority, platform, sub=SUB + "x",
                   **k8s("ops", "hr")) == "unknown-agent"


def faults_of(authority, *manifests):
    answer = authority.human("ada").preview(list(manifests))
    body = answer.refused(422, "manifests")
    return " | ".join(row["detail"] for row in body["errors"])


def test_two_agents_that_one_token_could_fit_are_not_taken_together(
        known, platform):
    assert "could be that of Agent/pod" in faults_of(
        known, pod(platform, "double"))
    assert "could be that of Agent/pod" in faults_of(
        known, pod(platform, "double", **{
            "sub": ["x", SUB], "repository": "a/b"}))
    assert "could be that of" in faults_of(
        known, pod(platform, "double", **{"/sub": SUB}))
    answer = known.human("ada").preview([pod(platform, "other", sub="else")])
    assert answer.status == 200, answer


def test_rules_that_one_claim_tells_apart_are_taken_together(
        open_cluster, platform):
    authority = open_cluster(
        pod(platform, "a", sub=SUB, repository="x/a"),
        pod(platform, "b", sub=SUB, repository=["x/b", "x/c"]),
        singleUse=False)
    for repository, good in (("x/a", True), ("x/c", True), ("x/d", False)):
        answer = whoami(authority, token(authority, platform,
                                         repository=repository))
        assert (answer.status == 200) == good, answer


@pytest.mark.parametrize("claims, words", [
    ({"repository": "a/b"}, "by which agents"),
    ({"sub": ""}, "compared with a text"),
    ({"sub": []}, "compared with a text"),
    ({"sub": SUB, "aud": "x"}, "says nothing of who it is"),
    ({"sub": SUB, "/exp": "x"}, "says nothing of who it is"),
    ({"sub": SUB, "/a//b": "x"}, "JSON pointer"),
    ({"sub": SUB, "/a~2": "x"}, "JSON pointer"),
    ({"sub": {"x": 1}}, "compared with a text"),
    ({"sub": [SUB, True]}, "compared with a text"),
])
def test_a_rule_that_would_not_select_is_refused(known, platform, claims,
                                                 words):
    assert words in faults_of(known, pod(platform, "new", **claims))


def test_what_a_manifest_may_not_say_of_an_issuer_is_refused(known, platform):
    rows = [
        (trust_domain("x", oidc={"issuer": platform.issuer}), "already that"),
        (trust_domain("x", oidc={"issuer": "ftp://a.example"}), "https URL"),
        (trust_domain("x", oidc={"issuer": "https://u@a.example"}),
         "https URL"),
        (trust_domain("x", oidc={"issuer": "https://a.example?x"}),
         "https URL"),
        (trust_domain("x"), "either trustDomain or oidc"),
        (trust_domain("x", trustDomain="a.example", oidc={
            "issuer": "https://a.example"}), "either trustDomain or oidc"),
        (trust_domain("x", bundleFile="/x", oidc={
            "issuer": "https://a.example"}), "are of a trustDomain"),
        (trust_domain("x", oidc={"issuer": "https://a.example",
                                 "jwksUri": "file:///etc/passwd"}), "jwksUri"),
        (agent("x", oidc=[{"issuer": "https://nobody.example",
                           "claims": {"sub": "x"}}]), "no TrustDomain"),
        (agent("x"), "identities or oidc"),
    ]
    for manifest, words in rows:
        assert words in faults_of(known, manifest), manifest


# Documents.

def trouble(authority, platform):
    return wait_until(lambda: (trust_row(authority, platform.issuer) or {})
                      .get("trouble"), "trouble with the issuer")


def test_metadata_of_another_issuer_is_refused(open_cluster, platform):
    platform.server.json("/.well-known/openid-configuration",
                         platform.metadata(issuer="https://evil.example"))
    authority = open_cluster(pod(platform), wait=False)
    assert "another issuer" in trouble(authority, platform)
    assert not platform.server.asked["/keys"]
    assert refused(authority, platform) == "untrusted"


def test_metadata_may_lie_where_oauth_servers_have_it(
        make_authority, ca):
    with Platform(ca, "/tenant") as platform:
        del platform.server.pages["/tenant/.well-known/openid-configuration"]
        platform.server.json("/.well-known/oauth-authorization-server/tenant",
                             platform.metadata())
        authority = make_authority(config_changes=outgoing(ca))
        authority.found(drill=False, change=lambda all: all + [
            cluster(platform, singleUse=False), pod(platform)])
        wait_for_trust(authority, platform.issuer)
        whoami(authority, token(authority, platform)).ok()


def test_keys_may_be_named_without_discovery(open_cluster, platform):
    platform.server.pages.pop("/.well-known/openid-configuration")
    authority = open_cluster(pod(platform), singleUse=False,
                             jwksUri=platform.server.url("/keys"))
    whoami(authority, token(authority, platform)).ok()


def test_a_redirect_of_the_metadata_is_not_followed(open_cluster, platform):
    platform.server.json("/else", platform.metadata())
    platform.server.pages["/.well-known/openid-configuration"] = (
        302, {"Location": platform.server.url("/else")}, b"")
    authority = open_cluster(pod(platform), wait=False)
    assert "redirect" in trouble(authority, platform)
    assert not platform.server.asked["/else"]


def test_keys_at_an_address_that_is_not_named_are_not_fetched(
        open_cluster, platform, ca):
    with web.Server(*ca.issue()) as inner:
        inner.json("/keys", {"keys": platform.keys()})
        platform.server.json("/.well-known/openid-configuration",
                             platform.metadata(jwks_uri=inner.url(
                                 "/keys", "localhost")))
        authority = open_cluster(
            pod(platform), wait=False,
            allow=[f"127.0.0.1:{platform.server.port}"])
        assert "does not name" in trouble(authority, platform)
        assert not inner.asked


def test_a_key_set_that_is_too_large_is_refused(open_cluster, platform):
    platform.server.pages["/keys"] = (200, {}, b" " * (300 * 1024))
    authority = open_cluster(pod(platform), wait=False)
    assert "larger than" in trouble(authority, platform)


def test_an_issuer_that_hangs_holds_nobody_up(open_cluster, platform):
    platform.server.pages["/keys"] = (
        lambda handler: platform.server.released.wait(30) and None)
    authority = open_cluster(pod(platform), wait=False)
    wait_until(lambda: platform.server.asked["/keys"], "the fetch")
    authority.agent("hr-bot").get("/v1/tasks").ok()
    assert refused(authority, platform) == "untrusted"


def test_a_server_without_the_right_certificate_is_not_believed(
        make_authority, ca, tmp_path):
    with Platform(web.Ca(tmp_path / "other", "Other CA")) as platform:
        authority = make_authority(config_changes=outgoing(ca))
        authority.found(drill=False, change=lambda all: all + [
            cluster(platform), pod(platform)])
        assert "certificate" in trouble(authority, platform)
        assert not platform.server.asked


def test_keys_stay_while_the_issuer_fails(known, platform):
    platform.server.pages["/keys"] = (500, {"Retry-After": "3600"}, b"")
    platform.rotate("one", "two", publish=False)
    assert refused(known, platform) == "untrusted"  # an early fetch, it fails
    wait_until(lambda: (trust_row(known, platform.issuer) or {}).get(
        "trouble"), "the failed fetch")
    whoami(known, token(known, platform, kid="one")).ok()
    asked = platform.server.asked["/keys"]
    for _ in range(20):
        assert refused(known, platform) == "untrusted"
    assert platform.server.asked["/keys"] == asked


def test_a_private_or_damaged_key_of_the_set_is_passed_over(
        open_cluster, platform):
    keys = platform.keys()
    platform.server.json("/keys", {"keys": [
        {**keys[0], "kid": "private", "d": "AQAB"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
        {**keys[0], "kid": "damaged", "x": "AAAA"},
        {**keys[0], "kid": "enc", "use": "enc"}, 1, keys[0]]})
    authority = open_cluster(pod(platform), singleUse=False)
    whoami(authority, token(authority, platform)).ok()
    for kid in ("private", "damaged", "enc"):
        assert refused(authority, platform,
                       headers={"kid": kid}) == "untrusted"


def test_doctor_says_which_issuer_is_not_believed(open_cluster, platform):
    platform.server.pages["/keys"] = (500, {}, b"")
    authority = open_cluster(pod(platform), wait=False)
    trouble(authority, platform)
    ada = authority.human("ada")
    ada.writ("login", check=True)
    said = ada.writ("doctor", "--config", authority.config_path)
    assert f"nobody of {platform.issuer} is believed" in (
        said.stdout + said.stderr).decode()


def test_an_address_that_is_none_is_found_when_the_configuration_is_checked(
        make_authority, ca, tmp_path):
    authority = make_authority()
    authority.stop()
    authority.write_config(outgoing={"allow": ["10.0.0.0/33"]})
    done = run(program("writd"), "--config", authority.config_path,
               "--check-config", check=False)
    assert done.returncode == 2
    assert b"outgoing.allow: '10.0.0.0/33' is no address" in done.stdout
