"""Tasks with very much of something: each ends with all of it, and takes along
nothing of another's."""
from concurrent import futures

from harness import wait_until
from stories import add, holds, somebody, vouch

GRANTS = 200
WAITING = 60


def asked_of_people(authority, bot, task, count):
    """Requests that wait for signatures; their ids."""
    vouch(authority, "mail-admins")
    with futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: add(
            bot, task, "mail-admins", somebody()), range(count)))
    return [answer.ok(202)["id"] for answer in answers]


def test_a_task_with_very_many_grants_and_requests_ends_with_all_of_them(
        make_authority):
    authority = make_authority(bundle_options=("--bench",)).found()
    bot = authority.agent("hr-bot")
    task, other = bot.open_task(), bot.open_task()
    members = [somebody() for _ in range(GRANTS)]
    with futures.ThreadPoolExecutor(8) as pool:
        placed = list(pool.map(
            lambda member: add(bot, task, "lunch-list", member), members))
    assert all(answer.ok(200)["state"] == "done" for answer in placed)
    kept = somebody()
    # What both hold stands until the other ends, too.
    add(bot, other, "lunch-list", members[0]).ok(200)
    add(bot, other, "lunch-list", kept).ok(200)
    waiting = asked_of_people(authority, bot, task, WAITING)
    others = asked_of_people(authority, bot, other, 1)
    # As after a restart, when all of it was read from the database.
    authority.restart()
    wait_until(authority.target_is_up, "the connector")
    bot.complete(task).ok(200, 202)
    wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"]
               == "completed", "the task to complete")
    assert {bot.show(ident)["state"] for ident in waiting} == {"cancelled"}
    assert not any(holds(authority, "lunch-list", member)
                   for member in members[1:])
    assert holds(authority, "lunch-list", members[0])
    assert holds(authority, "lunch-list", kept)
    assert bot.show(others[0])["state"] == "waiting"
    bot.complete(other).ok(200, 202)
    wait_until(lambda: bot.get(f"/v1/tasks/{other}").ok()["state"]
               == "completed", "the other task to complete")
    assert not holds(authority, "lunch-list", members[0])
    assert not holds(authority, "lunch-list", kept)
    assert bot.show(others[0])["state"] == "cancelled"
