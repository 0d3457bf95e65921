"""What a grant holds, who ends it, and what is never Writ's to remove."""
import threading

import pytest

import harness
import stories
from harness import group, wait_until
from stories import (add, grant_state, grants, holds, impatient, remove,
                     set_faults, somebody)


def give_outside(authority, name, member):
    """Somebody gives a membership without Writ."""
    stories.change_target(authority, (group(name), member))
    wait_until(lambda: stories.is_up(authority), "the connector")


def approve_all(authority, request):
    for asked in request["waitingFor"]:
        for name in harness.PEOPLE:
            if authority.human(name).approve(
                    request["id"], asked,
                    digest=request["digest"]).status < 300:
                break


@pytest.fixture
def bot(authority):
    return authority.agent("hr-bot")


def test_a_rollback_does_not_remove_what_somebody_gave_after_the_grant_ended(
        authority, bot):
    member, task = somebody(), bot.open_task()
    done = add(bot, task, "lunch-list", member, ttl="1s").ok(200)
    grant_state(authority, done["grant"]["id"], "ended")
    give_outside(authority, "lunch-list", member)
    undo = bot.rollback(done["id"]).ok()
    assert undo["state"] == "conflict"
    assert holds(authority, "lunch-list", member)


def test_what_a_removal_took_and_a_rollback_gave_back_stands_for_good(
        authority, bot):
    member, task = somebody(), bot.open_task()
    give_outside(authority, "lunch-list", member)
    asked = remove(bot, task, "lunch-list", member).ok(202)
    approve_all(authority, asked)
    done = bot.wait(asked["id"], "done")
    undo = bot.rollback(done["id"]).ok(200)
    assert undo["state"] == "done" and "grant" not in undo
    bot.complete(task).ok()
    assert holds(authority, "lunch-list", member)


def test_nothing_joins_a_grant_that_is_being_taken_away(authority, bot):
    member = somebody()
    first, second = bot.open_task(), bot.open_task()
    done = add(bot, first, "lunch-list", member).ok(200)
    set_faults(authority, apply="unavailable")
    ending = threading.Thread(target=bot.complete, args=(first,))
    ending.start()
    grant_state(authority, done["grant"]["id"], "ending")
    wait_until(lambda: grants(authority)[done["grant"]["id"]]
               .get("unconfirmed"), "an end that is not confirmed")
    set_faults(authority)
    asked = add(bot, second, "lunch-list", member, ttl="5m", wait=30).ok()
    ending.join()
    held = bot.wait(asked["id"], "done")
    assert held["grant"]["id"] != done["grant"]["id"]
    assert grants(authority)[done["grant"]["id"]]["state"] == "ended"
    assert holds(authority, "lunch-list", member)
    bot.complete(second).ok()
    assert not holds(authority, "lunch-list", member)


def test_one_place_never_has_two_grants(tmp_path):
    """While the outcome of one request is unknown, another of the same waits;
    ending one task then removes nothing that the other holds."""
    with impatient(tmp_path / "authority") as here:
        here.found()
        bot, member = here.agent("hr-bot"), somebody()
        one, two = bot.open_task(), bot.open_task()
        set_faults(here, apply="die-after", read="unavailable")
        first = add(bot, one, "lunch-list", member).ok(202)
        assert first["state"] == "unknown"
        set_faults(here)
        second = add(bot, two, "lunch-list", member, wait=30).ok()
        bot.wait(first["id"], "done")
        bot.wait(second["id"], "no_change")
        live = [g for g in grants(here).values() if g["state"] == "active"]
        assert len(live) == 1 and len(live[0]["holders"]) == 2
        bot.complete(one).ok()
        assert holds(here, "lunch-list", member)
        bot.complete(two).ok()
        assert not holds(here, "lunch-list", member)


def test_an_owners_word_ends_no_grant_that_stands(tmp_path):
    """An unknown removal called applied: the target is asked, and what stands
    is taken back rather than forgotten."""
    with impatient(tmp_path / "authority") as here:
        here.found()
        bot, member, task = here.agent("hr-bot"), somebody(), None
        task = bot.open_task()
        placed = add(bot, task, "lunch-list", member).ok(200)
        set_faults(here, apply="die-before", read="unavailable")
        undo = bot.rollback(placed["id"]).ok(202)
        assert undo["state"] == "unknown"
        here.human("alice").resolve(undo["id"], "applied").ok()
        set_faults(here)
        grant_state(here, placed["grant"]["id"], "ended")
        assert not holds(here, "lunch-list", member)


def test_an_addition_called_not_applied_is_looked_for_and_taken_back(tmp_path):
    with impatient(tmp_path / "authority") as here:
        here.found()
        bot, member = here.agent("hr-bot"), somebody()
        task = bot.open_task()
        set_faults(here, apply="die-after", read="unavailable")
        placed = add(bot, task, "lunch-list", member).ok(202)
        assert placed["state"] == "unknown"
        here.human("alice").resolve(placed["id"], "not-applied").ok()
        set_faults(here)
        wait_until(lambda: not holds(here, "lunch-list", member),
                   "what was applied after all to be taken back")


def test_what_people_signed_survives_a_target_that_does_not_answer(tmp_path):
    with impatient(tmp_path / "authority") as here:
        here.found()
        bot, member = here.agent("hr-bot"), somebody()
        asked = stories.waiting(here, "mail-admins", member, bot,
                                bot.open_task())
        set_faults(here, plan="hang")
        signing = threading.Thread(target=approve_all, args=(here, asked))
        signing.start()
        wait_until(lambda: bot.show(asked["id"])["state"] == "replanning",
                   "the plan to be made again")
        set_faults(here)
        signing.join()
        assert bot.wait(asked["id"], "done")["route"] == "approval"


def test_what_people_signed_survives_an_orderly_stop(authority, bot):
    member = somebody()
    asked = stories.waiting(authority, "mail-admins", member, bot,
                            bot.open_task())
    set_faults(authority, plan="hang")

    def sign():
        try:
            approve_all(authority, asked)
        except OSError:
            pass  # the daemon stopped meanwhile

    signing = threading.Thread(target=sign)
    signing.start()
    wait_until(lambda: bot.show(asked["id"])["state"] == "replanning",
               "the plan to be made again")
    authority.stop()
    signing.join()
    authority.write_connector(faults=None)
    authority.start()
    assert bot.wait(asked["id"], "done")["state"] == "done"
