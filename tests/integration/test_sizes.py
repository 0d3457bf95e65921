"""What somebody outside makes large: it is refused or cut, in words, and the
authority goes on."""
import hashlib
import json
import pathlib

import harness
import stories
from harness import TARGET, group, program, wait_until
from stories import add, holds, somebody

WIDENING = pathlib.Path(__file__).parent / "widening.py"
PEOPLE = 5400
LONG = "a-name-that-is-as-long-as-the-authority-lets-a-name-be-"


def crowd(first, count):
    """Manifests of people with long names and short accounts."""
    return [{"kind": "Human",
             "metadata": {"name": f"{LONG}{number:05}"},
             "spec": {"accounts": [f"{TARGET}/p{number}"]}}
            for number in range(first, first + count)]


def bring_in(authority, manifests):
    """Again while keys for so many people are made."""
    def applied():
        answer = authority.human("ada").propose(manifests)
        if answer.status == 202:
            change = answer.body
            answer = authority.human("heidi").sign_change(
                change["id"], change["digest"])
        return answer.status == 200

    wait_until(applied, "a change of very many people")


def widened(authority, gains):
    """Has the connector of the target say who gains by its plans."""
    config = authority.folder / "connector.yaml"
    authority.write_config(connectors=[{"target": TARGET, "command": [
        str(WIDENING), str(gains),
        program("writ-connect-null"), "--config", str(config)]}])


def test_a_plan_by_which_too_many_gain_is_refused_and_nothing_stops(
        tmp_path):
    gains = tmp_path / "gains.json"
    authority = harness.Authority(folder=tmp_path / "authority")
    try:
        widened(authority, gains)
        authority.start().found(drill=False)
        for first in range(0, PEOPLE, 300):
            bring_in(authority, crowd(first, 300))
        bot = authority.agent("hr-bot")
        task = bot.open_task()
        gains.write_text(json.dumps(
            [{"type": "account", "id": f"p{number}"}
             for number in range(PEOPLE)]))
        member = somebody()
        ident = add(bot, task, "lunch-list", member).body["id"]
        shown = bot.wait(ident, "failed")
        assert shown["outcome"]["cause"] == "too-large", shown
        assert "fewer" in shown["outcome"]["detail"]
        assert not holds(authority, "lunch-list", member)
        # With fewer of them it is decided, each of them counted once.
        gains.write_text(json.dumps(
            [{"type": "account", "id": f"p{number % 10}"}
             for number in range(PEOPLE)]))
        asked = add(bot, task, "lunch-list", member, wait=1).body
        asked = asked.get("request", asked)
        assert asked["evidence"]["decision"], asked
        assert stories.verified(authority)
        assert authority.stop() == 0
    finally:
        authority.close()


def test_a_plan_that_is_too_large_fails_a_request_and_a_drill_with_words(
        tmp_path):
    gains = tmp_path / "gains.json"
    authority = harness.Authority(folder=tmp_path / "authority")
    try:
        widened(authority, gains)
        authority.start().found(drill=False)
        bot = authority.agent("hr-bot")
        task = bot.open_task()
        # More than a quarter of a mebibyte, which is what people can review.
        gains.write_text(json.dumps(
            [{"type": "account", "id": f"{LONG}{number:05}"}
             for number in range(8000)]))
        ident = add(bot, task, "lunch-list", somebody()).body["id"]
        shown = bot.wait(ident, "failed")
        assert shown["outcome"]["cause"] == "too-large", shown
        assert "review" in shown["outcome"]["detail"]
        told = authority.human("ada").drill().ok(200)
        assert not told["passed"] and told["run"]
        assert "too large" in told["detail"]
        assert stories.has_leaf(authority, told["evidence"])
        assert not stories.open_armed(authority)
        assert stories.verified(authority)
        assert authority.stop() == 0
    finally:
        authority.close()


def forbids(count):
    """So many policies that all say the same of one group."""
    names = [f"z{number:04}-" + "x" * 90 for number in range(count)]
    resource = f'Gov::DirectoryGroup::"{TARGET}/{group("lunch-list")}"'
    return names, "".join(
        f'@id("{name}") @title("{"t" * 150}") forbid (principal is '
        f'Gov::Agent, action, resource == {resource});\n' for name in names)


def test_a_denial_by_very_many_policies_cites_as_many_as_there_is_room_for(
        tmp_path):
    folder = tmp_path / "policy"
    harness.run("/usr/bin/python3", harness.ROOT / "tools" / "demo_bundle.py",
                "--bench", harness.ROOT / "policy", folder)
    names, text = forbids(250)
    path = folder / "policies.cedar"
    path.write_text(path.read_text() + text)
    authority = harness.Authority(folder=tmp_path / "authority", bundle=folder)
    try:
        authority.start().found()
        bot = authority.agent("hr-bot")
        problem = add(bot, bot.open_task(), "lunch-list", somebody()).refused(
            403, "denied")
        decision = problem["request"]["decision"]
        cited = [row["id"] for row in decision["policies"]]
        cut = decision["policiesCut"]
        assert 0 < len(cited) < len(names) <= cut["count"]
        assert all(len(row["title"]) <= 128 for row in decision["policies"])
        leaf = json.loads(authority.leaf(
            problem["request"]["evidence"]["decision"]["index"])["leaf"])
        assert leaf["policies"] == cited and leaf["policiesCut"] == cut
        # The digest is that of all their ids, in the order they are cited in.
        if cut["count"] == len(names):
            whole = json.dumps(sorted(names), separators=(",", ":"))
            assert cited == sorted(names)[:len(cited)]
            assert cut["digest"] == "sha256:" + hashlib.sha256(
                whole.encode()).hexdigest()
        assert stories.verified(authority)
    finally:
        authority.close()
