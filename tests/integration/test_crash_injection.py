"""Nothing is missing after a write, a sync, a rename or an open failed once.
Longer, with WRIT_CRASH_ROUNDS, and by tests/crash/inject.py."""
import os
import pathlib
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "crash")]

# pylint: disable=wrong-import-position
import harness
import inject
import kill

SEED = os.environ.get("WRIT_CRASH_SEED", "injection")
# In short: a sample that the seed chooses.
ROUNDS = 12
SECONDS = 40


@pytest.fixture
def authority(tmp_path):
    if not harness.built("writ", "writd", "writ-keeper", "writ-connect-null"):
        pytest.skip("needs a build")
    reason = inject.why_not()
    if reason:
        pytest.skip(reason)
    with inject.Authority(folder=tmp_path / "authority",
                          bundle_options=("--bench",)) as made:
        yield made


def test_nothing_is_missing_after_a_system_call_failed_once(authority):
    count = kill.rounds(ROUNDS)
    met = inject.crash(authority, count, SEED,
                       seconds=SECONDS if count <= ROUNDS else None)
    assert met, "no fault was met"


def test_the_look_afterwards_sees_what_is_missing(authority):
    """The check itself: an acknowledged leaf that is not there is told."""
    kill.prepare(authority)
    held = kill.held_by_null(authority)
    check = kill.Check(authority, kill.Ledger(), held, held())
    check.ledger.note({"index": 1, "hash": "sha256:" + "0" * 64})
    with pytest.raises(AssertionError, match="leaf 1"):
        check.all()
