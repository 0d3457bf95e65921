"""Tokens for tasks as OAuth clients ask for them: a stock client library gets,
introspects and revokes them, a stock JWT library verifies them; and everything
that is not right gets the error its RFC names, with nothing issued."""
import json
import os
import time

import pytest

import harness
import identity
import oauth
import stories
import tokens
import web
from harness import wait_until
from oauth import ASSERTION, BILLING, BOUND, GRANT, TYPE, DpopKey, error

jwt = pytest.importorskip("jwt")
authlib = pytest.importorskip("authlib.integrations.requests_client")
rfc8414 = pytest.importorskip("authlib.oauth2.rfc8414")

pytestmark = pytest.mark.skipif(
    not harness.built("writd", "writ-keeper", "writ-connect-null"),
    reason="needs a build")


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return web.Ca(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def org(tmp_path_factory):
    return identity.SpiffeCa(tmp_path_factory.mktemp("org"))


@pytest.fixture(scope="module")
def world(tmp_path_factory, ca, org):
    """One authority for all tests that do not disturb others."""
    made = oauth.World(tmp_path_factory.mktemp("oauth") / "authority", ca, org)
    yield made
    made.close()


@pytest.fixture
def alone(tmp_path, ca, org):
    """An authority for one test."""
    made = oauth.World(tmp_path / "authority", ca, org)
    yield made
    made.close()


@pytest.fixture
def task(world):
    ident = world.open_task()
    yield ident
    world.agent().complete(ident).ok()


# ---- what is published ----

class Metadata(rfc8414.AuthorizationServerMetadata):
    """As the library reads it; that there are no response types, because there
    is no authorization endpoint, it does not know."""

    def validate_response_types_supported(self):
        assert self["response_types_supported"] == []


def test_a_stock_library_reads_the_metadata(world):
    path = rfc8414.get_well_known_url(world.authority.oauth_issuer)
    assert path == "/.well-known/oauth-authorization-server"
    answer = world.authority.call("GET", path)
    metadata = Metadata(answer.ok(200))
    metadata.validate()
    assert metadata["issuer"] == world.authority.oauth_issuer
    assert metadata["token_endpoint"] == world.token_url
    assert GRANT + "jwt-bearer" in metadata["grant_types_supported"]
    assert "none" not in metadata["dpop_signing_alg_values_supported"]
    assert metadata["authorization_details_types_supported"] == ["writ_task"]
    assert answer.headers["cache-control"] == "public, max-age=300"
    for name in ("token", "revocation", "introspection"):
        url = metadata[f"{name}_endpoint"]
        assert url.startswith(world.authority.oauth_issuer)
        path = url[len(world.authority.oauth_issuer):]
        assert world.authority.call("GET", path).status == 405


def test_another_issuer_is_not_this_one(world):
    world.authority.call(
        "GET", "/.well-known/oauth-authorization-server/other").refused(404)


def test_an_issuer_with_a_path_has_it_behind_the_well_known_part(
        make_authority):
    authority = make_authority(config_changes={
        "oauth": {"issuer": "https://writ.example/tenant/one"}})
    base = "/.well-known/oauth-authorization-server"
    authority.call("GET", base).refused(404)
    metadata = authority.call("GET", base + "/tenant/one").ok(200)
    assert metadata["issuer"] == "https://writ.example/tenant/one"
    assert metadata["token_endpoint"] == "https://writ.example/oauth/token"


def test_without_an_issuer_no_tokens_are_made(make_authority):
    authority = make_authority()
    for path in ("/.well-known/oauth-authorization-server", "/oauth/jwks"):
        authority.call("GET", path).refused(404, "no-oauth")
    authority.call("POST", "/oauth/token", b"grant_type=client_credentials",
                   headers={"Content-Type": oauth.FORM}).refused(
                       404, "no-oauth")


@pytest.mark.parametrize("issuer", [
    "http://writ.example", "https://writ.example/", "writ.example",
    "https://writ.example?x", "https://WRIT.example"])
def test_an_issuer_that_is_no_url_is_refused_at_the_start(tmp_path, issuer):
    authority = harness.Authority(folder=tmp_path / "a", config_changes={
        "oauth": {"issuer": issuer}})
    done = harness.run(harness.program("writd"), "--check-config", "--config",
                       authority.config_path, check=False, merge=True)
    assert done.returncode != 0 and b"oauth.issuer" in done.stdout


# ---- a stock client ----

class Stock:
    """A client of authlib over requests."""

    def __init__(self, world, name="hr-bot", cert=None, method="spiffe_jwt"):
        self.world = world
        self.name = name
        self.session = authlib.OAuth2Session(
            client_id=f"spiffe://example.org/agent/{name}",
            token_endpoint_auth_method=method if not cert else "none",
            revocation_endpoint_auth_method="spiffe_jwt")
        self.session.verify = str(world.authority.ca.cert)
        self.session.trust_env = False
        if cert:
            self.session.cert = tuple(str(part) for part in cert)
        self.session.register_client_auth_method(
            ("spiffe_jwt", self.authenticate))

    def authenticate(self, _client, _method, uri, headers, body):
        """draft-ietf-oauth-spiffe-client-auth: an assertion in the form."""
        from authlib.common.urls import add_params_to_qs

        body = add_params_to_qs(body, [
            ("client_id", self.session.client_id),
            ("client_assertion_type", ASSERTION + "jwt-spiffe"),
            ("client_assertion", self.world.assertion(
                self.name, self.world.authority.oauth_issuer))])
        return uri, {**headers, "Content-Length": str(len(body))}, body

    def fetch(self, **fields):
        return self.session.fetch_token(self.world.token_url, **{
            "grant_type": "client_credentials", "resource": BILLING,
            "scope": "invoices.read", **fields})

    def introspect(self, token):
        return self.session.introspect_token(
            self.world.authority.oauth_issuer + "/oauth/introspect",
            token=token).json()

    def revoke(self, token):
        return self.session.revoke_token(
            self.world.authority.oauth_issuer + "/oauth/revoke", token=token)


def verified(world, token, audience=BILLING):
    """The claims, as a resource server's JWT library verifies them."""
    keys = world.authority.call("GET", "/oauth/jwks").ok(200)
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(k for k in jwt.PyJWKSet.from_dict(keys).keys
               if k.key_id == kid)
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    return jwt.decode(token, key.key, algorithms=["ES256"], audience=audience,
                      issuer=world.authority.oauth_issuer, options={
                          "require": ["exp", "iat", "sub", "jti", "aud",
                                      "iss"]})


def test_a_stock_client_gets_a_token_that_a_stock_library_verifies(world,
                                                                   task):
    token = Stock(world).fetch()
    assert token["token_type"] == "Bearer"
    assert 290 <= token["expires_in"] <= 300
    assert token["scope"] == "invoices.read"
    assert "refresh_token" not in token
    claims = verified(world, token["access_token"])
    assert claims["sub"] == claims["client_id"] == \
        "spiffe://example.org/agent/hr-bot"
    assert claims["writ_task"] == task
    assert claims["exp"] - claims["iat"] == 300
    assert claims["authorization_details"] == token["authorization_details"] \
        == [{"type": "writ_task", "task": task, "locations": [BILLING],
             "identifier": "invoices.read"}]
    with pytest.raises(jwt.InvalidAudienceError):
        verified(world, token["access_token"], "https://other.example/")


def test_a_stock_client_introspects_and_revokes(world, task):
    token = Stock(world).fetch()["access_token"]
    gate = Stock(world, "billing-gate")
    shown = gate.introspect(token)
    assert shown["active"] and shown["scope"] == "invoices.read"
    assert shown["exp"] == oauth.claims_of(token)["exp"]
    assert Stock(world).introspect(token)["active"]
    # Whom it is nothing to is told nothing.
    assert Stock(world, "worker").introspect(token) == {"active": False}
    assert Stock(world).revoke(token).status_code == 200
    wait_until(lambda: gate.introspect(token) == {"active": False}, "the end")
    assert Stock(world).revoke(token).status_code == 200


def test_an_assertion_alone_is_a_grant(world, task):
    token = Stock(world, method="none").session.fetch_token(
        world.token_url, grant_type=GRANT + "jwt-bearer",
        assertion=world.assertion(), resource=BILLING,
        scope="invoices.read")
    assert verified(world, token["access_token"])["writ_task"] == task


def test_a_client_that_shows_its_svid_gets_a_token_bound_to_it(world, task):
    svid = world.svid()
    token = Stock(world, cert=svid).fetch(resource=BOUND)
    assert token["token_type"] == "Bearer"
    claims = verified(world, token["access_token"], BOUND)
    assert claims["cnf"] == {"x5t#S256": oauth.thumbprint_of(svid[0])}
    assert world.introspect(token["access_token"])["cnf"] == claims["cnf"]


def test_a_token_ends_before_the_certificate_it_is_bound_to(world, task):
    token = Stock(world, cert=world.svid(end=120)).fetch(resource=BOUND)
    assert token["expires_in"] <= 120


def test_a_workload_token_of_a_platform_is_an_assertion_too(alone):
    with identity.Platform(alone.authority.ca) as platform:
        alone.authority.write_config(outgoing={
            "allow": ["127.0.0.1"], "ca": str(alone.authority.ca.cert)})
        alone.authority.restart()
        alone.authority.apply([
            identity.trust_domain("cluster", oidc={
                "issuer": platform.issuer}),
            oauth.agent("pod", oidc=[{"issuer": platform.issuer, "claims": {
                "sub": "system:serviceaccount:ops:pod"}}]) | {},
        ])
        identity.wait_for_trust(alone.authority, platform.issuer)
        manifests = [m for m in oauth.manifests()
                     if m["kind"] == "TaskClass"]
        manifests[0]["spec"]["openers"].append("pod")
        alone.authority.apply(manifests)
        pod = "system:serviceaccount:ops:pod"
        alone.authority.agent("pod").open_task("api-ops", "as a pod",
                                               ("billing",))
        answer = alone.send("/oauth/token", alone.form(
            assertion=platform.token(alone.token_url, sub=pod,
                                     jti=os.urandom(8).hex())))
        assert answer.ok(200)["scope"] == "invoices.read"
        error(alone.send("/oauth/token", alone.form(
            assertion=platform.token(alone.token_url, sub="other"))), 400,
            "invalid_grant")


# ---- DPoP ----

def test_a_proof_binds_the_token_to_its_key(world, task):
    key = DpopKey()
    token = world.ask_bound(key, task, resource=BOUND).ok(200)
    assert token["token_type"] == "DPoP"
    assert oauth.claims_of(token["access_token"])["cnf"] == {
        "jkt": key.thumbprint}
    shown = world.introspect(token["access_token"])
    assert shown["cnf"] == {"jkt": key.thumbprint}
    assert shown["token_type"] == "DPoP"


def test_a_key_of_another_kind_binds_too(world, task):
    key = DpopKey("RS256")
    token = world.ask_bound(key, task).ok(200)
    assert oauth.claims_of(token["access_token"])["cnf"]["jkt"] == \
        key.thumbprint


def fresh_nonce(world, task):
    answer = world.ask(task, [("DPoP", DpopKey().proof(world.token_url,
                                                       nonce="old"))])
    error(answer, 400, "use_dpop_nonce")
    return answer.headers["dpop-nonce"]


@pytest.mark.parametrize("change", [
    {"head": {"typ": "JWT"}}, {"head": {"typ": tokens.DROP}},
    {"head": {"alg": "HS256"}}, {"head": {"alg": "none"}},
    {"head": {"alg": "RS256"}}, {"head": {"jwk": tokens.DROP}},
    {"head": {"jwk": {"kty": "oct", "k": "AAAA"}}}, {"private": True},
    {"jti": tokens.DROP}, {"htm": tokens.DROP}, {"htu": tokens.DROP},
    {"iat": tokens.DROP}, {"htm": "GET"}, {"iat": 1},
    {"iat": int(time.time()) + 100000}, {"iat": "now"},
    {"htu": "https://other.example/oauth/token"}, {"jti": ""},
    {"other": True}, {"cut": True}, {"twice": True},
], ids=str)
def test_a_proof_that_is_not_right_is_refused(world, task, change):
    nonce = fresh_nonce(world, task)
    key = DpopKey()
    more = {k: v for k, v in change.items()
            if k not in ("private", "other", "cut", "twice")}
    if change.get("private"):
        number = key.signer.signer.key.private_numbers().private_value
        more["head"] = {"jwk": {**key.jwk, "d": tokens.b64url(
            number.to_bytes(32, "big"))}}
    if change.get("other"):
        more["head"] = {"jwk": DpopKey().jwk}
    proof = key.proof(world.token_url, nonce=nonce, **more)
    if change.get("cut"):
        proof = proof[:-4] + "AAAA"
    before = world.count("issued")
    error(world.ask(task, [("DPoP", proof)] * (2 if change.get("twice")
                                               else 1)),
          400, "invalid_dpop_proof")
    assert world.count("issued") == before
    # The same with nothing changed is right.
    world.ask(task, [("DPoP", key.proof(world.token_url,
                                        nonce=nonce))]).ok(200)


def test_a_proof_serves_once_and_again_is_an_incident(world, task):
    proof = DpopKey().proof(world.token_url, nonce=fresh_nonce(world, task))
    world.ask(task, [("DPoP", proof)]).ok(200)
    before = world.count("issued")
    error(world.ask(task, [("DPoP", proof)]), 400, "invalid_dpop_proof")
    assert world.count("issued") == before
    assert any(leaf["kind"] == "incident" and leaf["what"] == "replayed"
               for leaf in stories.leaves(world.authority))


def test_a_proof_of_before_a_start_is_asked_for_a_nonce(alone):
    task = alone.open_task()
    key = DpopKey()
    proof = key.proof(alone.token_url, nonce=fresh_nonce(alone, task))
    alone.ask(task, [("DPoP", proof)]).ok(200)
    early = key.proof(alone.token_url)
    alone.authority.restart()
    for old in (proof, early):
        error(alone.ask(task, [("DPoP", old)]), 400, "use_dpop_nonce")
    alone.nonce = None
    alone.ask_bound(key, task).ok(200)


# ---- people are asked ----

def test_a_high_tier_is_pending_until_people_have_signed(world, task):
    pending = error(world.ask(task, scope="invoices.write"), 400,
                    "authorization_pending")
    request = pending["request_id"]
    assert pending["interval"] == 5 and pending["expires_in"] > 0
    slowed = error(world.ask(task, scope="invoices.write",
                             request_id=request), 400, "slow_down")
    assert slowed["interval"] > 5
    issued = world.count("issued")
    world.authority.human("bob").approve(request, "iam-approvers").ok()
    world.agent().wait(request, "done")
    token = world.ask(task, scope="invoices.write",
                      request_id=request).ok(200)
    assert token["scope"] == "invoices.write"
    assert token["request_id"] == request
    assert world.count("issued") == issued + 1
    assert verified(world, token["access_token"])["writ_task"] == task


def test_who_comes_again_without_the_id_gets_what_was_approved(world, task):
    request = error(world.ask(task, scope="invoices.write"), 400,
                    "authorization_pending")["request_id"]
    world.authority.human("bob").approve(request, "iam-approvers").ok()
    world.agent().wait(request, "done")
    token = world.ask(task, scope="invoices.write").ok(200)
    assert token["request_id"] == request
    # What was told once is not told again: that would be another request.
    again = error(world.ask(task, scope="invoices.write"), 400,
                  "authorization_pending")
    assert again["request_id"] != request
    assert world.is_active(token["access_token"])


def test_a_second_redemption_ends_the_first_token(world, task):
    request = error(world.ask(task, scope="invoices.write"), 400,
                    "authorization_pending")["request_id"]
    world.authority.human("bob").approve(request, "iam-approvers").ok()
    world.agent().wait(request, "done")
    token = world.ask(task, scope="invoices.write",
                      request_id=request).ok(200)["access_token"]
    assert world.is_active(token)
    error(world.ask(task, scope="invoices.write", request_id=request), 400,
          "invalid_grant")
    wait_until(lambda: not world.is_active(token), "the first to end")
    error(world.ask(task, scope="invoices.write", request_id=request), 400,
          "invalid_grant")


def test_a_request_made_under_v1_is_redeemed(world, task):
    made = world.agent().call("POST", "/v1/requests", {
        "task": task, "action": "IssueCredential", "target": "billing",
        "resource": "invoices.write", "parameters": {}, "mode": "execute",
        "ttl": "10m"}).ok(202)
    error(world.ask(request_id=made["id"], scope=None, resource=None), 400,
          "authorization_pending")
    world.authority.human("bob").approve(made["id"], "iam-approvers").ok()
    world.agent().wait(made["id"], "done")
    token = world.ask(request_id=made["id"], scope=None,
                      resource=None).ok(200)
    assert token["scope"] == "invoices.write"
    assert 500 < token["expires_in"] <= 600


def test_what_people_deny_is_access_denied(world, task):
    request = error(world.ask(task, scope="invoices.write"), 400,
                    "authorization_pending")["request_id"]
    world.authority.human("bob").deny(request, "iam-approvers").ok()
    denied = error(world.ask(task, scope="invoices.write",
                             request_id=request), 400, "access_denied")
    assert denied["request_id"] == request


def test_what_nobody_signs_in_time_has_expired(world):
    task = world.open_task(ttl="3s")
    brief = world.ask(task).ok(200)
    assert brief["expires_in"] <= 3
    request = error(world.ask(task, scope="invoices.write"), 400,
                    "authorization_pending")["request_id"]
    wait_until(lambda: world.agent().show(request)["state"] not in
               ("waiting", "planning"), "the request to end")
    error(world.ask(request_id=request, scope="invoices.write"), 400,
          "expired_token")


def test_a_bound_request_is_redeemed_with_the_same_key_alone(world, task):
    key = DpopKey()
    answer = world.ask_bound(key, task, resource=BOUND,
                             scope="invoices.write")
    request = error(answer, 400, "authorization_pending")["request_id"]
    world.authority.human("bob").approve(request, "iam-approvers").ok()
    world.agent().wait(request, "done")
    more = {"resource": BOUND, "scope": "invoices.write",
            "request_id": request}
    error(world.ask(task, **more), 400, "invalid_grant")
    error(world.ask_bound(DpopKey(), task, **more), 400, "invalid_grant")
    token = world.ask_bound(key, task, **more).ok(200)["access_token"]
    assert oauth.claims_of(token)["cnf"] == {"jkt": key.thumbprint}


def test_another_agent_redeems_nothing(world, task):
    request = error(world.ask(task, scope="invoices.write"), 400,
                    "authorization_pending")["request_id"]
    error(world.ask(request_id=request, scope=None, resource=None,
                    assertion=world.assertion("worker")), 400,
          "invalid_grant")


# ---- ends ----

def test_a_repeated_call_never_replays_the_token(world, task):
    first = world.ask(task).ok(200)["access_token"]
    second = world.ask(task).ok(200)["access_token"]
    assert first != second
    assert oauth.claims_of(first)["jti"] != oauth.claims_of(second)["jti"]
    wait_until(lambda: not world.is_active(first), "the first to end")
    assert world.is_active(second)


def test_a_token_ends_with_its_task_and_then_is_an_incident(world):
    task = world.open_task()
    token = world.ask(task).ok(200)["access_token"]
    assert world.is_active(token)
    world.agent().complete(task).ok()
    wait_until(lambda: not world.is_active(token), "the token to end")
    assert any(leaf["kind"] == "incident" and
               leaf["about"] == oauth.claims_of(token)["jti"]
               for leaf in stories.leaves(world.authority)
               if "about" in leaf)


def test_keys_rotate_and_what_the_old_one_signed_still_counts(alone):
    task = alone.open_task()
    old = alone.ask(task).ok(200)["access_token"]
    alone.authority.stop()
    harness.run(harness.program("writ-keeper"), "--folder",
                alone.authority.keeper_folder, "--rotate", "tokens")
    alone.authority.start()
    keys = alone.authority.call("GET", "/oauth/jwks").ok(200)["keys"]
    assert len({key["kid"] for key in keys}) == 2
    assert verified(alone, old) and alone.is_active(old)
    new = alone.ask(task).ok(200)["access_token"]
    assert verified(alone, new)
    assert (jwt.get_unverified_header(new)["kid"]
            != jwt.get_unverified_header(old)["kid"])


# ---- delegation ----

def delegate(world, task, name="worker", actions=("IssueCredential",),
             targets=("billing",), ttl="30m"):
    return world.agent().call("POST", f"/v1/tasks/{task}/children", {
        "agent": name, "intent": "a part of it", "actions": list(actions),
        "targets": list(targets), "ttl": ttl}).ok(201)["id"]


def exchange(world, token, **changes):
    fields = {"grant_type": GRANT + "token-exchange", "subject_token": token,
              "subject_token_type": TYPE + "access_token",
              "actor_token": world.assertion("worker"),
              "actor_token_type": TYPE + "jwt", "resource": BILLING,
              "scope": "invoices.read", **changes}
    return world.send("/oauth/token", fields)


def test_a_child_task_gets_a_token_with_the_chain_of_actors(world, task):
    token = world.ask(task).ok(200)["access_token"]
    child = delegate(world, task)
    answer = exchange(world, token).ok(200)
    assert answer["issued_token_type"] == TYPE + "access_token"
    claims = verified(world, answer["access_token"])
    assert claims["writ_task"] == child
    assert claims["sub"] == "spiffe://example.org/agent/worker"
    assert claims["act"]["sub"] == "spiffe://example.org/agent/worker"
    assert claims["act"]["act"]["sub"] == "spiffe://example.org/agent/hr-bot"
    assert claims["exp"] <= oauth.claims_of(token)["exp"]
    # It ends with the task above.
    other = world.open_task()
    above = world.ask(other).ok(200)["access_token"]
    below = delegate(world, other)
    token = exchange(world, above, authorization_details=json.dumps(
        [{"type": "writ_task", "task": below}])).ok(200)["access_token"]
    assert world.is_active(token)
    world.agent().complete(other).ok()
    wait_until(lambda: not world.is_active(token), "the child's to end")


def test_what_is_exchanged_is_only_narrower(world, task):
    token = world.ask(task, authorization_details=None).ok(200)["access_token"]
    bound = world.ask_bound(DpopKey(), task,
                            resource=BOUND).ok(200)["access_token"]
    read_only = world.send("/oauth/token", world.form(
        scope="invoices.list", authorization_details=json.dumps([{
            "type": "writ_task", "task": task, "actions": ["list"]}]))).ok(
                200)["access_token"]
    child = delegate(world, task)
    before = world.count("issued")
    error(exchange(world, token, scope="invoices.list"), 400, "invalid_scope")
    error(exchange(world, bound), 400, "invalid_target")
    detail = {"type": "writ_task", "task": child}
    for wrong in ({"actions": ["list", "read"]}, {"datatypes": ["x"]}):
        error(exchange(world, read_only, scope="invoices.list",
                       authorization_details=json.dumps(
                           [{**detail, **wrong}])), 400,
              "invalid_authorization_details")
    assert world.count("issued") == before
    kept = exchange(world, read_only, scope="invoices.list").ok(200)
    assert kept["authorization_details"][0]["actions"] == ["list"]


def test_an_exchange_that_is_not_right_is_refused(world, task):
    token = world.ask(task).ok(200)["access_token"]
    error(exchange(world, token), 400, "invalid_grant")  # no child task yet
    delegate(world, task)
    before = world.count("issued")
    rows = [
        {"subject_token": None}, {"subject_token_type": None},
        {"subject_token": "x.y.z"}, {"subject_token": token[:-4] + "AAAA"},
        {"subject_token": world.assertion()},
        {"subject_token_type": TYPE + "saml2"},
        {"actor_token_type": None}, {"actor_token": None},
        {"actor_token_type": TYPE + "refresh_token"},
        {"actor_token": world.assertion("nobody")},
        {"actor_token": token},
        {"requested_token_type": TYPE + "refresh_token"},
        {"client_assertion": world.assertion("worker"),
         "client_assertion_type": ASSERTION + "jwt-spiffe"},
    ]
    for row in rows:
        error(exchange(world, token, **row), 400, "invalid_request")
    error(exchange(world, token, actor_token=None, actor_token_type=None),
          401, "invalid_client")
    # The agent of the task above has no task below it.
    error(exchange(world, token, actor_token=world.assertion()), 400,
          "invalid_grant")
    assert world.count("issued") == before
    ended = world.open_task()
    old = world.ask(ended).ok(200)["access_token"]
    world.agent().complete(ended).ok()
    wait_until(lambda: not world.is_active(old), "its end")
    error(exchange(world, old), 400, "invalid_request")


# ---- what is refused, and that nothing is issued ----

def details(world, task, **changes):
    del world
    return json.dumps([{"type": "writ_task", "task": task, **changes}])


CLIENT = {"grant_type": "client_credentials", "assertion": None}
FOREIGN = tokens.Issuer()


def client(world, **more):
    return {**CLIENT, "client_assertion": world.assertion(),
            "client_assertion_type": ASSERTION + "jwt-spiffe", **more}


# name, what of a right form changes, status, error
REFUSALS = [
    ("no grant", lambda w, t: {"grant_type": None}, 400, "invalid_request"),
    ("an unknown grant", lambda w, t: {"grant_type": "password"}, 400,
     "unsupported_grant_type"),
    ("a refresh token", lambda w, t: {"grant_type": "refresh_token",
                                      "refresh_token": "x"}, 400,
     "unsupported_grant_type"),
    ("a code", lambda w, t: {"grant_type": "authorization_code"}, 400,
     "unsupported_grant_type"),
    ("no assertion", lambda w, t: {"assertion": None}, 400,
     "invalid_request"),
    ("an assertion that is none", lambda w, t: {"assertion": "x"}, 400,
     "invalid_grant"),
    ("an assertion for others", lambda w, t: {"assertion": w.assertion(
        audience="https://other.example")}, 400, "invalid_grant"),
    ("an assertion for us and others", lambda w, t: {
        "assertion": w.assertion(aud=[w.token_url, "https://b.example"])},
     400, "invalid_grant"),
    ("an assertion without audience", lambda w, t: {
        "assertion": w.assertion(aud=tokens.DROP)}, 400, "invalid_grant"),
    ("an expired assertion", lambda w, t: {
        "assertion": w.assertion(exp=int(time.time()) - 60)}, 400,
     "invalid_grant"),
    ("an assertion of the future", lambda w, t: {
        "assertion": w.assertion(nbf=int(time.time()) + 600)}, 400,
     "invalid_grant"),
    ("an assertion without an end", lambda w, t: {
        "assertion": w.assertion(exp=tokens.DROP)}, 400, "invalid_grant"),
    ("an assertion that lives too long", lambda w, t: {
        "assertion": w.assertion(lifetime=86400)}, 400, "invalid_grant"),
    ("an assertion signed by nobody we know", lambda w, t: {
        "assertion": w.assertion(issuer=FOREIGN)}, 400, "invalid_grant"),
    ("an assertion of another trust domain", lambda w, t: {
        "assertion": w.assertion(issuer=tokens.Issuer("evil.example"))}, 400,
     "invalid_grant"),
    ("an assertion with alg none", lambda w, t: {
        "assertion": w.assertion(headers={"alg": "none"})}, 400,
     "invalid_grant"),
    ("an assertion of nobody's", lambda w, t: {
        "assertion": w.assertion("nobody")}, 400, "invalid_grant"),
    ("an assertion and a client", lambda w, t: {
        "client_assertion": w.assertion(),
        "client_assertion_type": ASSERTION + "jwt-spiffe"}, 400,
     "invalid_request"),
    ("a client that is not who it says", lambda w, t: {
        "client_id": "spiffe://example.org/agent/worker"}, 401,
     "invalid_client"),
    ("no client", lambda w, t: CLIENT, 401, "invalid_client"),
    ("a client secret", lambda w, t: {**CLIENT, "client_id": "x",
                                      "client_secret": "y"}, 401,
     "invalid_client"),
    ("a client assertion without its type", lambda w, t: client(
        w, client_assertion_type=None), 400, "invalid_request"),
    ("a client assertion of an unknown type", lambda w, t: client(
        w, client_assertion_type=ASSERTION + "saml2-bearer"), 401,
     "invalid_client"),
    ("a client assertion that is no SVID", lambda w, t: client(
        w, client_assertion=w.assertion(sub="someone")), 401,
     "invalid_client"),
    ("a client assertion for others", lambda w, t: client(
        w, client_assertion=w.assertion(audience="https://b.example")), 401,
     "invalid_client"),
    ("a client with another's id", lambda w, t: client(
        w, client_id="spiffe://example.org/agent/worker"), 401,
     "invalid_client"),
    ("an unknown resource", lambda w, t: {
        "resource": "https://unknown.example/"}, 400, "invalid_target"),
    ("a resource that is no URI", lambda w, t: {"resource": "billing"}, 400,
     "invalid_target"),
    ("a resource with a fragment", lambda w, t: {
        "resource": BILLING + "#x"}, 400, "invalid_target"),
    ("two resources", lambda w, t: {"resource": [BILLING, BOUND]}, 400,
     "invalid_target"),
    ("resource and audience of two targets", lambda w, t: {
        "audience": "bound"}, 400, "invalid_target"),
    ("a target that gives no tokens", lambda w, t: {
        "resource": None, "audience": "corp-directory"}, 400,
     "invalid_target"),
    ("a location that is another target", lambda w, t: {
        "authorization_details": details(w, t, locations=["bound"])}, 400,
     "invalid_target"),
    ("an unknown role", lambda w, t: {"scope": "invoices.burn"}, 400,
     "invalid_scope"),
    ("two roles", lambda w, t: {"scope": "invoices.read invoices.list"}, 400,
     "invalid_scope"),
    ("no role where there are several", lambda w, t: {"scope": None}, 400,
     "invalid_scope"),
    ("details that are no JSON", lambda w, t: {
        "authorization_details": "{"}, 400, "invalid_authorization_details"),
    ("details that are no list", lambda w, t: {
        "authorization_details": json.dumps({"type": "writ_task"})}, 400,
     "invalid_authorization_details"),
    ("details of an unknown type", lambda w, t: {
        "authorization_details": details(w, t, type="payment")}, 400,
     "invalid_authorization_details"),
    ("details without a type", lambda w, t: {
        "authorization_details": json.dumps([{"task": t}])}, 400,
     "invalid_authorization_details"),
    ("details with an unknown member", lambda w, t: {
        "authorization_details": details(w, t, privileges=["admin"])}, 400,
     "invalid_authorization_details"),
    ("details with a member of another kind", lambda w, t: {
        "authorization_details": details(w, t, actions="read")}, 400,
     "invalid_authorization_details"),
    ("details of two tokens", lambda w, t: {
        "authorization_details": json.dumps(
            [{"type": "writ_task", "task": t}] * 2)}, 400,
     "invalid_authorization_details"),
    ("details with another role than scope", lambda w, t: {
        "authorization_details": details(w, t, identifier="invoices.list")},
     400, "invalid_authorization_details"),
    ("a task that is none", lambda w, t: {
        "authorization_details": details(w, "tsk_0")}, 400,
     "invalid_authorization_details"),
    ("another agent's task", lambda w, t: {
        "assertion": w.assertion("worker"),
        "authorization_details": details(w, t)}, 400,
     "invalid_authorization_details"),
    ("an agent without a task", lambda w, t: {
        "assertion": w.assertion("worker"), "authorization_details": None},
     400, "invalid_grant"),
    ("no binding where one is demanded", lambda w, t: {"resource": BOUND},
     400, "invalid_request"),
    ("a ttl that is none", lambda w, t: {"ttl": "long"}, 400,
     "invalid_request"),
    ("a ttl that is too long", lambda w, t: {"ttl": "2h"}, 400,
     "invalid_request"),
    ("a request that is none", lambda w, t: {"request_id": "req_0"}, 400,
     "invalid_grant"),
    ("a field twice", lambda w, t: {"scope": ["invoices.read"] * 2}, 400,
     "invalid_request"),
    ("a field too much", lambda w, t: {f"f{i}": "x" for i in range(40)}, 400,
     "invalid_request"),
    ("a control byte", lambda w, t: {"scope": "invoices.read\n"}, 400,
     "invalid_request"),
]


@pytest.mark.parametrize("change, status, name", [
    pytest.param(*row[1:], id=row[0]) for row in REFUSALS])
def test_what_is_not_right_gets_its_error_and_no_token(world, task, change,
                                                       status, name):
    before = world.count("issued")
    fields = {**world.form(task), **change(world, task)}
    answer = world.send("/oauth/token", fields)
    error(answer, status, name)
    if status == 401:
        assert answer.headers["www-authenticate"]
    assert world.count("issued") == before


@pytest.mark.parametrize("data, kind", [
    (b"{}", "application/json"), (b"a=%zz", oauth.FORM),
    (b"a=b&a=c", oauth.FORM), (b"=x", oauth.FORM),
    (b"a=\xff", oauth.FORM), (b"x=1", oauth.FORM + "; charset=latin1"),
    (b"", oauth.FORM), (b"x=1", None)])
def test_what_is_no_form_is_an_invalid_request(world, data, kind):
    for path in ("token", "introspect", "revoke"):
        answer = world.send(f"/oauth/{path}", data, kind=kind)
        if path == "token" or data:
            error(answer, 400, "invalid_request")
        else:
            error(answer, 401, "invalid_client")


def test_a_body_that_is_too_large_is_refused(world):
    answer = world.send("/oauth/token", b"a=" + b"x" * 70000)
    assert answer.status == 413


def test_authorization_proves_nobody_at_the_token_endpoint(world, task):
    for value in (f"Bearer {world.assertion()}", "Basic eDp5"):
        answer = world.ask(task, [("Authorization", value)])
        error(answer, 401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith(
            value.split()[0])


def test_a_foreign_certificate_is_refused(world, task, tmp_path):
    before = world.count("issued")
    foreign = identity.SpiffeCa(tmp_path / "foreign").issue("/agent/hr-bot")
    for cert in (foreign, world.svid("worker")):
        # It proves somebody else, or nobody, whatever the assertion says.
        error(world.ask(task, cert=cert), 400, "invalid_grant")
    error(world.send("/oauth/token", {
        "grant_type": "client_credentials", "resource": BILLING,
        "scope": "invoices.read"}, cert=foreign), 401, "invalid_client")
    assert world.count("issued") == before
    world.ask(task, cert=world.svid()).ok(200)


def test_an_assertion_serves_once_and_again_is_an_incident(alone):
    task = alone.open_task()
    assertion = alone.assertion()
    alone.ask(task, assertion=assertion).ok(200)
    error(alone.ask(task, assertion=assertion), 400, "invalid_grant")
    again = alone.assertion()
    fields = {**alone.form(task), **CLIENT, "client_assertion": again,
              "client_assertion_type": ASSERTION + "jwt-spiffe"}
    alone.send("/oauth/token", fields).ok(200)
    error(alone.send("/oauth/token", fields), 401, "invalid_client")
    # Nor after a restart, nor to redeem anything.
    alone.authority.restart()
    error(alone.ask(task, assertion=assertion), 400, "invalid_grant")
    error(alone.ask(request_id="req_0", assertion=assertion), 400,
          "invalid_grant")
    assert alone.count("issued") == 2
    incidents = [leaf for leaf in stories.leaves(alone.authority)
                 if leaf["kind"] == "incident"]
    assert incidents and all(leaf["what"] == "replayed" and
                             leaf["of"] == "assertion" for leaf in incidents)


def test_policy_denies_and_says_so(alone):
    alone.authority.apply([
        {"kind": "TaskClass", "metadata": {"name": "small"}, "spec": {
            "owner": "alice", "purpose": "to read and nothing else",
            "domain": "corp", "planes": ["directory"], "openers": ["hr-bot"],
            "actions": ["IssueCredential"], "maxTier": 0,
            "longest": "1h"}}])
    task = alone.agent().open_task("small", "to read", ("billing",), "30m")
    denied = error(alone.ask(task, scope="invoices.write"), 400,
                   "access_denied")
    assert alone.agent().show(denied["request_id"])["state"] == "denied"
    assert alone.count("issued") == 0
    alone.ask(task).ok(200)


def test_a_task_must_be_said_where_there_are_two(world, task):
    other = world.open_task()
    error(world.ask(), 400, "invalid_request")
    assert world.ask(other).ok(200)["authorization_details"][0][
        "task"] == other
    world.agent().complete(other).ok()
    assert world.ask().ok(200)["authorization_details"][0]["task"] == task


def test_a_contained_agent_gets_nothing(alone):
    task = alone.open_task()
    token = alone.ask(task).ok(200)["access_token"]
    alone.authority.human("ada").contain("agent", "hr-bot").ok()
    answer = alone.ask(task)
    assert answer.status == 400 and answer.body["error"] in (
        "invalid_authorization_details", "access_denied", "invalid_grant")
    assert not alone.is_active(token)
    assert alone.count("issued") == 1


# ---- introspection and revocation ----

def test_who_asks_about_a_token_proves_itself(world, task):
    token = world.ask(task).ok(200)["access_token"]
    for path in ("introspect", "revoke"):
        send = f"/oauth/{path}"
        error(world.send(send, {"token": token}), 401, "invalid_client")
        error(world.send(send, {
            "token": token, "client_assertion": "x",
            "client_assertion_type": ASSERTION + "jwt-spiffe"}), 401,
            "invalid_client")
        answer = world.send(send, {"token": token},
                            [("Authorization", "Bearer x.y.z")])
        error(answer, 401, "invalid_token")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        error(world.send(send, {"token": token},
                         [("Authorization", "Basic eDp5")]), 401,
              "invalid_client")
        bearer = [("Authorization", f"Bearer {world.assertion()}")]
        error(world.send(send, {}, bearer), 400, "invalid_request")
        person = world.authority.human("ada").login()
        error(world.send(send, {"token": token},
                         [("Authorization", f"Bearer {person}")]), 401,
              "invalid_token")
    assert world.is_active(token)


def test_introspection_tells_nothing_of_what_is_no_token(world, task):
    token = world.ask(task).ok(200)["access_token"]
    forged = FOREIGN.sign({"alg": "ES256", "typ": "at+jwt",
                           "kid": jwt.get_unverified_header(token)["kid"]},
                          oauth.claims_of(token))
    for text in ("x", token[:-4] + "AAAA", forged, world.assertion()):
        assert world.introspect(text) == {"active": False}


def test_only_holder_and_verifiers_revoke(world, task):
    token = world.ask(task).ok(200)["access_token"]

    def revoke(text, name):
        return world.send("/oauth/revoke", {
            "token": text, "token_type_hint": "refresh_token",
            "client_assertion": world.assertion(name),
            "client_assertion_type": ASSERTION + "jwt-spiffe"})
    error(revoke(token, "worker"), 400, "invalid_grant")
    assert world.is_active(token)
    revoke("no token at all", "worker").ok(200)
    revoke(token, "billing-gate").ok(200)
    wait_until(lambda: not world.is_active(token), "its end")


def test_a_proof_by_certificate_is_enough_to_ask(world, task):
    token = world.ask(task).ok(200)["access_token"]
    answer = world.send("/oauth/introspect", {"token": token},
                        cert=world.svid("billing-gate"))
    assert answer.ok(200)["active"]
    error(world.send("/oauth/introspect", {
        "token": token, "client_id": "spiffe://example.org/agent/worker"},
        cert=world.svid("billing-gate")), 401, "invalid_client")


def test_no_secret_stands_in_a_log_or_a_file(world, task):
    token = world.ask(task).ok(200)["access_token"]
    signature = token.rsplit(".", 1)[1]
    assert signature not in world.authority.log(all_starts=True)
    for path in world.authority.data.rglob("*"):
        if path.is_file():
            assert signature.encode() not in path.read_bytes(), path
