"""A database that cannot be read for a moment: nobody is told that they have
done what they have not, and nothing is done twice."""
import contextlib
import os
import sqlite3

from harness import TARGET
from stories import add, somebody


@contextlib.contextmanager
def without(authority, table):
    """While a table is not there."""
    database = sqlite3.connect(authority.data / "state.db", timeout=30)
    database.execute("PRAGMA legacy_alter_table = ON")
    database.execute(f"ALTER TABLE {table} RENAME TO away")
    database.commit()
    try:
        yield
    finally:
        database.execute(f"ALTER TABLE away RENAME TO {table}")
        database.commit()
        database.close()


def opening():
    return {"class": "identity-ops", "intent": "new people",
            "targets": [TARGET], "ttl": "1h"}


def test_a_call_that_cannot_be_told_from_a_replay_is_to_be_made_again(
        authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    body = bot.request_body(task, "AddToGroup", "cn=lunch-list,ou=groups,"
                            "dc=example,dc=org", somebody())
    tokens = [bot.token(jti=os.urandom(8).hex()) for _ in range(2)]
    keys = [os.urandom(8).hex() for _ in range(2)]
    paths = [("/v1/tasks", opening()), ("/v1/requests?wait=20", body)]
    ada = authority.human("ada")
    signed = ada.sign("drill", target=TARGET)
    with without(authority, "seen"):
        for (path, what), token, key in zip(paths, tokens, keys):
            bot.call("POST", path, what, key=key, token=token).refused(
                503, "unavailable")
        authority.call("POST", f"/v1/targets/{TARGET}/drill", signed).refused(
            503, "unavailable")
    # The same once more, with the same token, key and signature.
    for (path, what), token, key in zip(paths, tokens, keys):
        bot.call("POST", path, what, key=key, token=token).ok(200, 201)
    authority.call("POST", f"/v1/targets/{TARGET}/drill", signed).ok(200)
    # And now they have served.
    for (path, what), token in zip(paths, tokens):
        bot.call("POST", path, what, token=token).refused(401, "replayed")
    authority.call("POST", f"/v1/targets/{TARGET}/drill", signed).refused(
        401, "replayed")


def test_a_key_that_cannot_be_looked_up_does_nothing_a_second_time(authority):
    bot = authority.agent("hr-bot")
    key = os.urandom(8).hex()
    first = bot.call("POST", "/v1/tasks", opening(), key=key).ok(201)["id"]
    # What was answered a moment ago is known without the database.
    authority.restart()
    with without(authority, "reply"):
        bot.call("POST", "/v1/tasks", opening(), key=key).refused(
            503, "unavailable")
    again = bot.call("POST", "/v1/tasks", opening(), key=key).ok(201)
    assert again["id"] == first
    assert add(bot, first, "lunch-list", somebody()).status in (200, 202)
