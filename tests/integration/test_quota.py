"""Quotas: what one agent may have at once, and lists page by page."""
import os

import pytest

import stories
from harness import TARGET, wait_until
from stories import add, leaves, somebody, waiting
from watchers import change, of_kind


def limited(make_authority, **limits):
    return make_authority(config_changes={"limits": limits}).found()


def open_task(bot):
    return bot.call("POST", "/v1/tasks", {
        "class": "identity-ops", "intent": "one more", "targets": [TARGET],
        "ttl": "1h"})


def over(answer):
    """A call over its quota says when to come again."""
    answer.refused(429, "quota")
    assert int(answer.headers["retry-after"]) >= 1
    return answer


def test_an_agent_has_so_many_open_tasks_and_no_more(make_authority):
    authority = limited(make_authority, openTasks=2)
    bot = authority.agent("hr-bot")
    one = open_task(bot).ok(201)["id"]
    open_task(bot).ok(201)
    over(open_task(bot))
    open_task(authority.agent("adviser")).ok(201)
    bot.complete(one).ok(200)
    open_task(bot).ok(201)


def test_open_tasks_count_over_a_restart(make_authority):
    authority = limited(make_authority, openTasks=2)
    bot = authority.agent("hr-bot")
    open_task(bot).ok(201)
    open_task(bot).ok(201)
    authority.restart(crash=True)
    over(open_task(bot))


def test_an_agent_has_so_many_requests_waiting_and_no_more(make_authority):
    authority = limited(make_authority, openRequests=2)
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    one = waiting(authority, bot=bot, task=task)
    waiting(authority, bot=bot, task=task)
    over(add(bot, task, "mail-admins", somebody()))
    bot.cancel(one["id"]).ok()
    add(bot, task, "mail-admins", somebody()).ok(202)


def test_taking_back_is_a_request_like_any_other_and_counts(make_authority):
    authority = limited(make_authority, openRequests=1)
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    done = add(bot, task, "lunch-list", somebody()).ok(200)
    assert done["state"] == "done"
    one = waiting(authority, bot=bot, task=task)
    over(bot.rollback(done["id"]))
    bot.cancel(one["id"]).ok()
    bot.rollback(done["id"]).ok(200)


def test_to_ask_the_same_again_is_not_one_request_more(make_authority):
    authority = limited(make_authority, openRequests=1)
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    member = somebody()
    one = waiting(authority, bot=bot, task=task, member=member)
    again = add(bot, task, "mail-admins", member).ok(202)
    assert again["id"] == one["id"]


def test_an_agent_asks_so_often_in_a_minute_and_not_more(make_authority):
    authority = limited(make_authority, requestsPerMinute=4)
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    done = add(bot, task, "lunch-list", somebody()).ok(200)
    add(bot, task, "lunch-list", somebody()).ok(200)
    bot.rollback(done["id"]).ok(200)
    over(add(bot, task, "lunch-list", somebody()))
    over(bot.explain(task, "AddToGroup", "cn=x", somebody()))
    over(open_task(bot))
    # It ends what it has.
    bot.complete(task).ok(200)


def test_a_call_that_was_answered_is_answered_again_over_quota(make_authority):
    authority = limited(make_authority, requestsPerMinute=2)
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    key, member = os.urandom(8).hex(), somebody()
    one = add(bot, task, "lunch-list", member, key=key).ok(200)
    over(add(bot, task, "lunch-list", somebody()))
    again = add(bot, task, "lunch-list", member, key=key).ok(200)
    assert again["id"] == one["id"]


def test_the_records_of_a_task_have_so_many_bytes(make_authority):
    authority = limited(make_authority, recordBytes=1000)
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    bot.attach(task, "a" * 600).ok(201)
    over(bot.attach(task, "b" * 600))
    bot.attach(task, "c" * 400).ok(201)
    over(bot.attach(task, "d"))
    bot.attach(bot.open_task(), "e" * 600).ok(201)


def test_an_agents_own_limits_come_first(make_authority):
    authority = limited(make_authority, openTasks=1)
    bot = authority.agent("hr-bot")
    change(authority, "agent", "hr-bot", limits={"openTasks": 3})
    for _ in range(3):
        open_task(bot).ok(201)
    over(open_task(bot))
    change(authority, "agent", "hr-bot", limits={"openTasks": 1})
    over(open_task(bot))


def test_what_is_over_quota_is_counted_and_leaves_one_leaf_a_minute(
        make_authority):
    authority = limited(make_authority, openTasks=1)
    bot = authority.agent("hr-bot")
    open_task(bot).ok(201)
    before = len(leaves(authority))
    for _ in range(30):
        over(open_task(bot))
    assert len(leaves(authority)) <= before + 1
    wait_until(lambda: of_kind(leaves(authority), "refused"),
               "the leaf of refusals", patience=90, pause=1)
    counts = [leaf["counts"].get("quota", 0)
              for leaf in of_kind(leaves(authority), "refused")]
    assert sum(counts) == 30 and len(counts) == 1


def test_a_task_that_was_opened_is_answered_again_as_it_was(authority):
    bot = authority.agent("hr-bot")
    body = {"class": "identity-ops", "intent": "once", "targets": [TARGET],
            "ttl": "1h"}
    key = os.urandom(8).hex()
    one = bot.call("POST", "/v1/tasks", body, key=key).ok(201)
    again = bot.call("POST", "/v1/tasks", body, key=key).ok(201)
    assert again["id"] == one["id"]
    bot.complete(one["id"]).ok(200)
    assert bot.call("POST", "/v1/tasks", body, key=key).ok(201)[
        "state"] == "completed"
    bot.call("POST", "/v1/tasks", {**body, "intent": "twice"},
             key=key).refused(422, "key-reused")


# ---- lists ----

def pages(reader, path, member, limit):
    """Ids of a list, followed from page to page, and how many pages."""
    found, after, count = [], "", 0
    while True:
        mark = "&" if "?" in path else "?"
        body = reader.get(f"{path}{mark}limit={limit}{after}").ok()
        assert len(body[member]) <= limit
        found += [row.get("id") or row["metadata"]["name"]
                  for row in body[member]]
        count += 1
        if "next" not in body:
            return found, count
        after = f"&after={body['next']}"


def test_lists_are_read_page_by_page_and_nothing_is_missed(authority):
    bot = authority.agent("hr-bot")
    tasks = [bot.open_task() for _ in range(7)]
    for task in tasks[:5]:
        add(bot, task, "lunch-list", somebody()).ok(200)
    ada = authority.human("ada")
    for reader in (bot, ada):
        found, count = pages(reader, "/v1/tasks", "tasks", 3)
        assert found == sorted(tasks) and count == 3
    for kind, many in (("requests", 5), ("grants", 5)):
        found, count = pages(ada, f"/v1/{kind}", kind, 2)
        assert len(found) == len(set(found)) == many and count == 3
    bot.complete(tasks[0]).ok(200)
    found, _ = pages(ada, "/v1/tasks?state=open", "tasks", 2)
    assert found == sorted(tasks[1:])
    names, count = pages(ada, "/v1/inventory/human", "manifests", 4)
    assert names == sorted(names) and len(names) == 9 and count == 3


def test_a_page_that_is_just_full_is_not_followed_by_an_empty_one_for_ever(
        authority):
    bot = authority.agent("hr-bot")
    tasks = [bot.open_task() for _ in range(4)]
    found, count = pages(bot, "/v1/tasks", "tasks", 2)
    assert found == sorted(tasks) and count <= 3


@pytest.mark.parametrize("query, code", [
    ("state=nonsense", "state"), ("state=", "state"), ("limit=0", "limit"),
    ("limit=501", "limit"), ("limit=x", "limit"), ("limit=-1", "limit"),
    ("after=", "after"), ("after=" + "a" * 200, "after"),
    ("state=open&state=open", "target"), ("wait=1&wait=1", "target"),
])
def test_a_list_that_is_asked_for_wrongly_is_refused(shared_authority, query,
                                                     code):
    ada = shared_authority.human("ada")
    ada.get(f"/v1/tasks?{query}").refused(400, code)
    ada.get("/v1/tasks?state=open").ok()


@pytest.mark.parametrize("kind, state", [
    ("tasks", "ending"), ("requests", "no_change"), ("grants", "ended"),
    ("changes", "applied"), ("containments", "released"),
    ("exceptions", "expired"),
])
def test_each_list_knows_its_states(shared_authority, kind, state):
    ada = shared_authority.human("ada")
    ada.get(f"/v1/{kind}?state={state}").ok()
    ada.get(f"/v1/{kind}?state={state}x").refused(400, "state")


def test_the_command_line_follows_the_pages(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    first = add(bot, task, "lunch-list", somebody()).ok(200)
    authority.stop()
    doc = stories.document(authority, "request", first["id"])
    copies = [{**doc, "id": f"req_00000000000000000000000000{i:06x}"}
              for i in range(600)]
    stories.put_documents(authority, "request", copies, like=first["id"])
    authority.start()
    listed = bot.writ("request", "list", "-o", "json")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.count(b'"id": "req_') >= 601
