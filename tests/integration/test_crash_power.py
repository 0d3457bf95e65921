"""Nothing that was acknowledged is missing after the power of the disk was cut,
and where syncs do nothing the same look says that it is.  Longer, with
WRIT_CRASH_ROUNDS, and by tests/crash/power.py."""
import os
import pathlib
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "crash")]

# pylint: disable=wrong-import-position
import harness
import inject
import kill
import power
import shim

SEED = os.environ.get("WRIT_CRASH_SEED", "power")


@pytest.fixture
def disk(tmp_path):
    if not harness.built("writ", "writd", "writ-keeper", "writ-connect-null"):
        pytest.skip("needs a build")
    reason = power.why_not()
    if reason:
        pytest.skip(reason)
    made = power.Disk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def authority(disk, tmp_path):
    made = inject.Authority(folder=tmp_path / "authority",
                            bundle_options=("--bench",))
    yield power.on_disk(made, disk)
    made.close()


def test_nothing_acknowledged_is_missing_after_a_power_cut(authority, disk):
    check = power.crash(authority, disk, kill.rounds(), SEED)
    assert check.ledger.checkpoints and check.ledger.leaves


@pytest.mark.parametrize("who, word", [
    (("writd",), "rollback detected"),
    (("keeper",), "the keeper forgot"),
    (("writd", "keeper"), "is gone"),
], ids=["the daemon", "the keeper", "both"])
def test_a_disk_that_was_never_synced_is_noticed(authority, disk, tmp_path,
                                                 who, word):
    """As with PRAGMA synchronous=OFF: the look afterwards must see it, or it
    would see nothing."""
    reason = shim.why_not()
    if reason:
        pytest.skip(reason)
    said = power.mutant(authority, disk, shim.Shim(tmp_path), SEED, *who)
    assert said, "nothing was missing"
    assert word in said, said
