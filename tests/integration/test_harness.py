"""What the other tests stand on: tokens, statements and examples that other
programs than ours accept too."""
import base64
import json
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "conformance")]

# pylint: disable=wrong-import-position
import harness
import slapd
from tokens import DROP, Issuer

needs_init = pytest.mark.skipif(
    not harness.built("writ", "writ-keeper", "writ-connect-null"),
    reason="needs a build")


def parts(token):
    return [json.loads(base64.urlsafe_b64decode(part + "=="))
            for part in token.split(".")[:2]]


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_token_has_what_a_jwt_svid_has(algorithm):
    issuer = Issuer(algorithm=algorithm)
    head, body = parts(issuer.mint("/agent/a", "audience"))
    assert head["alg"] == algorithm and head["kid"] == issuer.kid
    assert body["sub"] == "spiffe://example.org/agent/a"
    assert body["aud"] == ["audience"] and body["exp"] > body["iat"]
    assert json.loads(issuer.bundle())["keys"][0]["use"] == "jwt-svid"


def test_a_claim_can_be_left_out():
    head, body = parts(Issuer().mint("/a", "b", jti=DROP, headers={"kid": DROP}))
    assert "jti" not in body and "kid" not in head


@pytest.fixture
def unstarted(tmp_path):
    made = harness.Authority(folder=tmp_path / "authority")
    yield made
    made.close()


@needs_init
def test_a_statement_is_canonical_and_openssh_verifies_it(unstarted, tmp_path):
    ada = unstarted.human("ada")
    form = ada.sign("login")
    assert harness.canonical(json.loads(form["statement"])) == \
        form["statement"]
    (tmp_path / "signers").write_text(f"ada {ada.public_key}\n")
    (tmp_path / "signature").write_text(form["signature"])
    done = subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-n", "writ-login", "-I", "ada", "-f",
         str(tmp_path / "signers"), "-s", str(tmp_path / "signature")],
        input=form["statement"].encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_init
def test_a_configuration_that_the_connector_accepts(unstarted):
    harness.run(harness.program("writ-connect-null"), "--check",
                unstarted.folder / "connector.yaml")


@needs_init
@pytest.mark.skipif(not (slapd.AVAILABLE and harness.built("writ-connect-ldap")),
                    reason="needs slapd and a build")
def test_the_example_directory_serves_its_connector(tmp_path):
    from connector_process import Connector
    with harness.demo_directory() as directory:
        made = harness.Authority(folder=tmp_path / "a", directory=directory)
        connector = Connector(
            harness.program("writ-connect-ldap"),
            json.loads((made.folder / "connector.yaml").read_text()),
            tmp_path / "connector")
        assert connector.call("check")["ok"]
        plan = connector.call("plan", action="AddToGroup",
                              resource=harness.group("helpdesk"),
                              parameters={"member": harness.person("nora")})
        assert plan["nestedIn"] == [harness.group("mail-admins")]
        connector.close()


@needs_init
def test_the_example_manifests_name_only_what_is_there(unstarted):
    manifests = unstarted.manifests()
    names = {(m["kind"], m["metadata"]["name"]) for m in manifests}
    assert len(names) == len(manifests)
    for m in manifests:
        for name in m["spec"].get("groups", []):
            assert ("Group", name) in names
        if "owner" in m["spec"]:
            assert ("Human", m["spec"]["owner"]) in names


@needs_init
def test_the_demonstrations_bundle_passes_its_own_test(unstarted):
    harness.run(harness.program("writ"), "policy", "test", unstarted.bundle)
