"""What writd fetches and sends: against real HTTPS servers, and where it never
goes.  The program fetch (tests/unit/net) makes the transfers."""
import json
import os
import subprocess
import time

import harness
import pytest
import web

FETCH = harness.BUILD / "tests/unit/net/fetch"
pytestmark = pytest.mark.skipif(not FETCH.exists(),
                                reason="needs a build with tests/unit/net/fetch")


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return web.Ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def server(ca):
    with web.Server(*ca.issue()) as opened:
        yield opened


def ask(ca, *requests, mails=(), allow=("127.0.0.1",), env=None):
    """The results of these transfers, all made at once."""
    order = {"allow": list(allow), "ca": str(ca.cert),
             "requests": list(requests), "mails": list(mails)}
    kept = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
    done = subprocess.run([str(FETCH)], input=json.dumps(order).encode(),
                          stdout=subprocess.PIPE, check=True,
                          env={"PATH": "/usr/bin:/bin", **kept, **(env or {})},
                          timeout=harness.PATIENCE)
    return json.loads(done.stdout)


def ask_one(ca, url, env=None, allow=("127.0.0.1",), **members):
    return ask(ca, {"url": url, **members}, env=env, allow=allow)[0]


def test_a_document_is_fetched_with_what_its_header_says(ca, server):
    server.json("/x", {"a": 1}, Cache_Control="max-age=77")
    got = ask_one(ca, server.url("/x"))
    assert "why" not in got
    assert (got["status"], json.loads(got["body"])) == (200, {"a": 1})
    assert got["contentType"] == "application/json"
    assert got["fresh"] == 77


def test_a_post_carries_its_body_and_headers(ca, server):
    server.pages["/hook"] = (503, {"Retry-After": "9"}, b"later")
    got = ask_one(ca, server.url("/hook"), method="POST", body='{"id":1}',
                  headers=["X-Id: one", "Content-Type: application/json"])
    assert (got["status"], got["retryAfter"]) == (503, 9)
    assert server.bodies == [b'{"id":1}']
    assert server.headers[0]["X-Id"] == "one"
    assert "Expect" not in server.headers[0]


def test_an_answer_with_any_status_is_an_answer(ca, server):
    got = ask_one(ca, server.url("/none"))
    assert (got["status"], got["body"]) == (404, "nothing")
    assert "why" not in got


def test_a_server_with_another_authoritys_certificate_is_refused(
        ca, tmp_path):
    other = web.Ca(tmp_path / "other", "Other CA")
    with web.Server(*other.issue()) as server:
        got = ask_one(ca, server.url())
        assert "certificate" in got["why"]
        trusted = ask(ca, {"url": server.url(), "ca": str(other.cert)})[0]
        assert trusted["status"] == 404
        assert sum(server.asked.values()) == 1


def test_a_server_with_another_name_is_refused(ca):
    with web.Server(*ca.issue("other", "DNS:other.example")) as server:
        got = ask_one(ca, server.url())
    assert "127.0.0.1" in got["why"]
    assert got["status"] == 0


def test_a_peer_may_be_judged_by_the_caller_alone(ca):
    with web.Server(*ca.issue("other", "DNS:other.example")) as server:
        good, bad = ask(ca, {"url": server.url(), "peer": "anybody"},
                        {"url": server.url(), "peer": "nobody"})
        assert good["status"] == 404
        assert bad["why"] == "nobody is trusted"
        assert sum(server.asked.values()) == 1


def test_an_address_that_is_not_named_is_never_connected_to(ca, server):
    by_address = ask_one(ca, server.url("/"), allow=())
    by_name = ask_one(ca, server.url("/", "localhost"), allow=())
    other_port = ask_one(ca, server.url("/"), allow=("127.0.0.1:1",))
    for got in (by_address, by_name, other_port):
        assert "does not name" in got["why"], got
        assert got["status"] == 0
    assert not server.asked
    named = ask_one(ca, server.url("/"), allow=(f"127.0.0.1:{server.port}",))
    assert named["status"] == 404


def test_a_redirect_is_not_followed_unasked(ca, server):
    server.pages["/old"] = (302, {"Location": server.url("/new")}, b"")
    server.json("/new", {})
    got = ask_one(ca, server.url("/old"))
    assert "redirect" in got["why"]
    assert got["location"] == server.url("/new")
    assert not server.asked["/new"]


def test_a_redirect_to_an_internal_address_is_refused(ca, server):
    with web.Server(*ca.issue()) as inner:
        inner.json("/secret", {"secret": 1})
        server.pages["/old"] = (302, {"Location": inner.url("/secret")}, b"")
        got = ask_one(ca, server.url("/old"), redirects=3,
                      allow=(f"127.0.0.1:{server.port}",))
        assert "does not name" in got["why"]
        assert not inner.asked
        assert not got["body"]


def test_a_redirect_leads_to_https_alone_and_not_for_ever(ca, server):
    with web.Server() as plain:
        plain.json("/", {})
        server.pages["/plain"] = (302, {"Location": plain.url("/")}, b"")
        got = ask_one(ca, server.url("/plain"), redirects=3)
        assert got["why"]
        assert not plain.asked
    server.pages["/file"] = (302, {"Location": "file:///etc/passwd"}, b"")
    assert ask_one(ca, server.url("/file"), redirects=3)["why"]
    server.pages["/loop"] = (302, {"Location": server.url("/loop")}, b"")
    assert "redirects" in ask_one(ca, server.url("/loop"), redirects=3)["why"]
    assert server.asked["/loop"] == 4
    server.pages["/old"] = (302, {"Location": server.url("/new")}, b"")
    server.json("/new", {"new": 1}, Cache_Control="max-age=5")
    got = ask_one(ca, server.url("/old"), redirects=1)
    assert (got["status"], got["fresh"]) == (200, 5)


@pytest.mark.parametrize("announced", [True, False])
def test_an_answer_that_is_too_large_is_cut_off(ca, server, announced):
    def big(handler):
        handler.send_response(200)
        if announced:
            handler.send_header("Content-Length", str(1 << 30))
        handler.end_headers()
        for _ in range(64):
            handler.wfile.write(b"x" * 1024)
    server.pages["/big"] = big
    got = ask_one(ca, server.url("/big"), bytesMax=4096)
    assert "larger than 4096 bytes" in got["why"]
    assert not got["body"]


def test_a_header_that_is_too_large_is_cut_off(ca, server):
    server.pages["/"] = (200, {f"X-{i}": "y" * 1000 for i in range(64)}, b"")
    assert "header is too large" in ask_one(ca, server.url())["why"]


def test_a_server_that_trickles_is_left_when_the_time_is_over(ca, server):
    def trickle(handler):
        handler.send_response(200)
        handler.end_headers()
        while not server.released.wait(0.02):
            handler.wfile.write(b"x")
    server.pages["/slow"] = trickle
    began = time.monotonic()
    got = ask_one(ca, server.url("/slow"), timeoutMs=300)
    assert "timed out" in got["why"]
    assert time.monotonic() - began < harness.PATIENCE


def test_an_answer_that_is_cut_short_is_none(ca, server):
    def short(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b'{"keys":[]}')
    server.pages["/"] = short
    got = ask_one(ca, server.url())
    assert got["why"]
    assert not got["body"]


def test_the_environment_sends_nothing_elsewhere(ca, server, tmp_path):
    with web.Server() as proxy:
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
        (tmp_path / ".netrc").chmod(0o600)
        got = ask_one(ca, server.url("/"), env={
            "HOME": str(tmp_path), "https_proxy": proxy.url(),
            "http_proxy": proxy.url(), "ALL_PROXY": proxy.url()})
        assert got["status"] == 404
        assert not proxy.asked
        assert "Authorization" not in server.headers[0]


def test_plain_http_is_spoken_to_a_named_loopback_address_alone(ca):
    with web.Server() as plain:
        plain.json("/", {})
        assert ask_one(ca, plain.url())["status"] == 200
        assert "without TLS" in ask_one(ca, plain.url(), allow=())["why"]


def test_many_transfers_run_at_once_and_all_are_told(ca, server):
    server.json("/x", {})
    got = ask(ca, *[{"url": server.url("/x")} for _ in range(100)])
    assert [row["status"] for row in got] == [200] * 100


# Mail.

MESSAGE = ("From: writ@example.org\r\nTo: alice@example.org\r\n"
           "Subject: one\r\n\r\n.hidden dot\r\n")


def mail(box, ca, **members):
    row = {"url": box.url, "from": "writ@example.org",
           "to": ["alice@example.org"], "message": MESSAGE, **members}
    return ask(ca, mails=[row])[0]


@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_mail_goes_through_tls(ca, mode):
    with web.Mailbox(mode, *ca.issue()) as box:
        got = mail(box, ca, user="writ", password="secret")
        assert "why" not in got, got
        sender, to, text = box.mails[0]
        assert (sender, to) == ("writ@example.org", ["alice@example.org"])
        assert text.decode() == MESSAGE


def test_a_mail_server_without_starttls_gets_nothing(ca):
    with web.Mailbox("starttls") as box:
        got = mail(box, ca, user="writ", password="secret")
        assert got["why"]
        assert not box.mails
        assert not [line for line in box.said if line.startswith("AUTH")]


def test_a_mail_server_with_another_authoritys_certificate_gets_nothing(
        ca, tmp_path):
    other = web.Ca(tmp_path / "other", "Other CA")
    with web.Mailbox("starttls", *other.issue()) as box:
        assert "certificate" in mail(box, ca)["why"]
        assert not box.mails


def test_a_mail_in_plain_goes_to_a_named_loopback_address(ca):
    with web.Mailbox("plain") as box:
        assert "why" not in mail(box, ca, plain=True)
        assert len(box.mails) == 1
        row = {"url": box.url, "from": "writ@example.org", "plain": True,
               "to": ["alice@example.org"], "message": MESSAGE}
        assert "without TLS" in ask(ca, mails=[row], allow=())[0]["why"]


def test_a_mail_that_one_recipient_refuses_is_not_sent(ca):
    with web.Mailbox("starttls", *ca.issue(),
                     refuse={"bob@example.org"}) as box:
        got = mail(box, ca, to=["alice@example.org", "bob@example.org"])
        assert got["why"]
        assert got["status"] == 550
        assert not box.mails
