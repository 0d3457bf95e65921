"""A real SPIRE server and agent, and a workload of theirs that acts through a
real writd: by JWT-SVID and by X.509-SVID, with bundles from files and from the
server's own bundle endpoint.

    WRIT_SPIRE=FOLDER/OF/PROGRAMS WRIT_BUILD=... pytest tests/spire
"""
import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "integration")]

# pylint: disable=wrong-import-position
import harness
import web
from harness import run, wait_until
from identity import (agent, call_tls, reason, trust_domain, wait_for_trust,
                      whoami)

PROGRAMS = pathlib.Path(os.environ.get("WRIT_SPIRE", ROOT / "build" / "spire"))
SERVER, AGENT = PROGRAMS / "spire-server", PROGRAMS / "spire-agent"
pytestmark = pytest.mark.skipif(
    not (SERVER.exists() and AGENT.exists()),
    reason="needs SPIRE: tests/spire/build.py builds it")

DOMAIN = "spire.example"
WORKLOAD = f"spiffe://{DOMAIN}/agent/bot"
NODE = f"spiffe://{DOMAIN}/node"
ENDPOINT = f"spiffe://{DOMAIN}/spire/server"

SERVER_CONF = """
server {{
  bind_address = "127.0.0.1"
  bind_port = "{port}"
  socket_path = "{folder}/server.sock"
  trust_domain = "{domain}"
  data_dir = "{folder}/server"
  log_level = "WARN"
  ca_ttl = "12h"
  federation {{
    bundle_endpoint {{
      address = "127.0.0.1"
      port = {bundle_port}
      refresh_hint = "10s"
      profile "https_spiffe" {{}}
    }}
  }}
}}
plugins {{
  DataStore "sql" {{
    plugin_data {{
      database_type = "sqlite3"
      connection_string = "{folder}/server/datastore.sqlite3"
    }}
  }}
  NodeAttestor "join_token" {{ plugin_data {{}} }}
  KeyManager "memory" {{ plugin_data {{}} }}
}}
"""

AGENT_CONF = """
agent {{
  data_dir = "{folder}/agent"
  log_level = "WARN"
  server_address = "127.0.0.1"
  server_port = "{port}"
  socket_path = "{folder}/agent.sock"
  trust_bundle_path = "{folder}/first.pem"
  trust_domain = "{domain}"
}}
plugins {{
  NodeAttestor "join_token" {{ plugin_data {{}} }}
  KeyManager "memory" {{ plugin_data {{}} }}
  WorkloadAttestor "unix" {{ plugin_data {{}} }}
}}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return opened.getsockname()[1]


class Spire:
    """Server and agent with one registered workload: this very user."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.values = {"folder": self.folder, "domain": DOMAIN,
                       "port": free_port(), "bundle_port": free_port()}
        self.processes = []
        for name in ("server", "agent"):
            (self.folder / name).mkdir()
        self._start_server()
        self._start_agent()

    def _run(self, program, conf, *more):
        path = self.folder / f"{program.name}.conf"
        path.write_text(conf.format(**self.values))
        with open(self.folder / f"{program.name}.log", "wb") as log:
            self.processes.append(subprocess.Popen(
                [str(program), "run", "-config", str(path), *more],
                stdout=log, stderr=log, cwd=self.folder))

    def server(self, *arguments, **options):
        return run(SERVER, *arguments, "-socketPath",
                   self.folder / "server.sock", **options)

    def agent(self, *arguments, **options):
        return run(AGENT, *arguments, "-socketPath",
                   self.folder / "agent.sock", **options)

    def bundle(self):
        return self.server("bundle", "show", "-format", "spiffe").stdout

    def _start_server(self):
        self._run(SERVER, SERVER_CONF)
        wait_until(lambda: self.server("healthcheck",
                                       check=False).returncode == 0,
                   "the SPIRE server")
        (self.folder / "first.pem").write_bytes(
            self.server("bundle", "show", "-format", "pem").stdout)

    def _start_agent(self):
        made = self.server("token", "generate", "-spiffeID", NODE,
                           "-output", "json").stdout
        self._run(AGENT, AGENT_CONF, "-joinToken", json.loads(made)["value"])
        self.server("entry", "create", "-parentID", NODE, "-spiffeID",
                    WORKLOAD, "-selector", f"unix:uid:{os.getuid()}",
                    "-jwtSVIDTTL", "60", "-x509SVIDTTL", "600")
        wait_until(lambda: self.agent("api", "fetch", "x509",
                                      check=False).returncode == 0,
                   "the SPIRE agent to know the workload", pause=0.5)

    def token(self, audience):
        """A JWT-SVID of the workload, from the agent."""
        lines = self.agent("api", "fetch", "jwt", "-audience",
                           audience).stdout.decode().splitlines()
        return next(line.strip() for line in lines
                    if line.strip().count(".") == 2)

    def svid(self):
        """(certificates, key) of the workload, from the agent."""
        place = self.folder / f"svid-{os.urandom(4).hex()}"
        place.mkdir()
        self.agent("api", "fetch", "x509", "-write", place)
        return place / "svid.0.pem", place / "svid.0.key"

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait(timeout=harness.PATIENCE)


@pytest.fixture(scope="module")
def spire(tmp_path_factory):
    opened = Spire(tmp_path_factory.mktemp("spire"))
    yield opened
    opened.close()


@pytest.fixture
def opened(tmp_path, spire):
    """open(spec of the trust domain) is an authority over TLS that has the
    workload for an agent."""
    made = []
    ca = web.Ca(tmp_path / "ca")
    cert, key = ca.issue("writd")

    class Authority(harness.Authority):
        """The same over TLS."""

        def call(self, method, path, body=None, bearer=None, headers=None,
                 timeout=None):
            return call_tls(self, ca, method, path, body, bearer=bearer,
                            headers=headers)

    def make(**spec):
        (tmp_path / "bundle.json").write_bytes(spire.bundle())
        authority = Authority(folder=tmp_path / "authority", config_changes={
            "tls": {"cert": str(cert), "key": str(key)},
            "outgoing": {"allow": ["127.0.0.1"]}})
        made.append(authority)
        authority.start()
        return authority.found(drill=False, change=lambda all: all + [
            trust_domain("spire", trustDomain=DOMAIN, **spec),
            agent("bot", identities=[WORKLOAD])]), ca

    yield make
    for authority in made:
        authority.close()


def test_a_workloads_jwt_svid_proves_it(opened, spire, tmp_path):
    authority, _ = opened(bundleFile=str(tmp_path / "bundle.json"))
    whoami(authority, spire.token(authority.audience)).ok()
    assert reason(whoami(authority, spire.token("elsewhere"))) == "audience"


def test_a_workloads_x509_svid_proves_it(opened, spire, tmp_path):
    authority, ca = opened(bundleFile=str(tmp_path / "bundle.json"))
    cert, key = spire.svid()
    call_tls(authority, ca, "GET", "/v1/tasks", cert=cert, key=key).ok()
    call_tls(authority, ca, "GET", "/v1/tasks", cert=cert, key=key,
             bearer=spire.token(authority.audience)).ok()
    hr = authority.agent("hr-bot").token()
    assert reason(call_tls(authority, ca, "GET", "/v1/tasks", cert=cert,
                           key=key, bearer=hr)) == "two-callers"


def test_the_servers_own_bundle_endpoint_is_believed_by_its_svid(
        opened, spire, tmp_path):
    url = f"https://127.0.0.1:{spire.values['bundle_port']}"
    authority, ca = opened(
        bundleFile=str(tmp_path / "bundle.json"),
        endpoint={"profile": "https_spiffe", "url": url,
                  "spiffeId": ENDPOINT})
    wait_for_trust(authority, DOMAIN)
    whoami(authority, spire.token(authority.audience)).ok()
    cert, key = spire.svid()
    call_tls(authority, ca, "GET", "/v1/tasks", cert=cert, key=key).ok()


def test_a_rotated_authority_is_found_by_the_endpoint(opened, spire, tmp_path):
    url = f"https://127.0.0.1:{spire.values['bundle_port']}"
    authority, _ = opened(
        bundleFile=str(tmp_path / "bundle.json"),
        endpoint={"profile": "https_spiffe", "url": url,
                  "spiffeId": ENDPOINT})
    wait_for_trust(authority, DOMAIN)
    prepared = json.loads(spire.server("localauthority", "jwt", "prepare",
                                       "-output", "json").stdout)
    ident = prepared["prepared_authority"]["authority_id"]
    spire.server("localauthority", "jwt", "activate", "-authorityID", ident)
    minted = spire.server("jwt", "mint", "-spiffeID", WORKLOAD, "-audience",
                          authority.audience, "-ttl", "60s"
                          ).stdout.decode().strip()
    wait_until(lambda: whoami(authority, minted).status == 200,
               "the new key of the trust domain")
