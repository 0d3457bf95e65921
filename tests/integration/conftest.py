"""Fixtures: an authority over a directory that only remembers, and one over a
real OpenLDAP server.  Both have the inventory of examples/demo."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "conformance")]

# pylint: disable=wrong-import-position
import harness
import slapd


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the end of the daemon's log beside a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    for value in getattr(item, "funcargs", {}).values():
        if isinstance(value, harness.Authority):
            report.sections.append(
                ("writd's log", "\n".join(value.log().splitlines()[-60:])))


def _needs(*programs):
    if not harness.built(*programs):
        pytest.skip("needs a build with " + ", ".join(programs))


@pytest.fixture
def make_authority(tmp_path):
    """make_authority(...) as harness.Authority(...), started and closed."""
    _needs("writ", "writd", "writ-keeper", "writ-connect-null")
    opened = []

    def make(**options):
        folder = tmp_path / f"authority-{len(opened)}"
        authority = harness.Authority(folder=folder, **options)
        opened.append(authority)
        return authority.start()

    yield make
    for authority in opened:
        authority.close()


@pytest.fixture
def authority(make_authority):
    """Its own authority for one test, with writ-connect-null."""
    return make_authority().found()


@pytest.fixture(scope="module")
def shared_authority(tmp_path_factory):
    """One authority for all tests of a module that do not disturb others."""
    _needs("writ", "writd", "writ-keeper", "writ-connect-null")
    folder = tmp_path_factory.mktemp("shared") / "authority"
    with harness.Authority(folder=folder) as authority:
        yield authority.found()


@pytest.fixture
def directory():
    """The demonstration's directory on a real OpenLDAP server."""
    if not slapd.AVAILABLE:
        pytest.skip("needs an installed slapd")
    with harness.demo_directory() as server:
        yield server


@pytest.fixture
def ldap_authority(directory, make_authority):
    """An authority over a real directory."""
    _needs("writ-connect-ldap")
    return make_authority(directory=directory).found()
