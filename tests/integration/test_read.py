"""ReadEntitlements: an agent asks what an account of a real OpenLDAP server
has, policy decides, and what was told is in the log for whoever may read it."""
import contextlib
import os
import pathlib
import signal
import sys
from concurrent import futures

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "conformance")]

# pylint: disable=wrong-import-position
import harness
import slapd
import stories
import test_changes
import test_erasure
from harness import GROUPS, TARGET, group, person, wait_until
from slapd import entry_ldif
from test_cli import DENIED, FAILED, OK, document, ended, words
from test_exceptions import freeze

PEOPLE = "ou=people,dc=example,dc=org"
NORA, OMAR, HEIDI = person("nora"), person("omar"), person("heidi")
ZEBEDEE = person("zebedee")

pytestmark = pytest.mark.skipif(
    not (slapd.AVAILABLE and harness.built("writ-connect-ldap")),
    reason="needs a build and an installed slapd")


def may_read(manifests):
    """Accounts of people may be read, heidi's only by who may read all."""
    for manifest in manifests:
        spec = manifest["spec"]
        if manifest["kind"] == "Target":
            spec["classification"] += [
                {"match": {"resource": HEIDI, "type": "Dataset"},
                 "tier": 1, "sensitivity": 4},
                {"match": {"resource": OMAR, "type": "Dataset"},
                 "tier": 1, "sensitivity": 1},
                {"match": {"suffix": "," + PEOPLE, "type": "Dataset"},
                 "tier": 1, "sensitivity": 2},
                {"match": {"suffix": "," + GROUPS, "type": "Dataset"},
                 "tier": 1, "sensitivity": 2}]
        if manifest["metadata"]["name"] == "identity-ops":
            spec["actions"].append("ReadEntitlements")
    return manifests


@pytest.fixture
def make(directory, make_authority):
    """make() is an authority whose connector may read accounts."""
    def authority(change=may_read):
        made = make_authority(directory=directory, connector_changes={
            "accounts": {"base": PEOPLE}})
        return made.found(change=change, drill=False)
    return authority


@pytest.fixture
def here(make):
    return make()


def body(task, account=NORA, target=TARGET, **changes):
    return {"task": task, "action": "ReadEntitlements", "target": target,
            "resource": account, "parameters": {}, **changes}


def read(bot, task, *arguments, key=None, wait=20, **changes):
    return bot.call("POST", f"/v1/requests?wait={wait}",
                    body(task, *arguments, **changes), key=key)


def names(request):
    return [row["id"] for row in request["result"]["entitlements"]]


def leaves(authority, *kinds):
    return [(index, leaf) for index, leaf in
            enumerate(stories.leaves(authority)) if leaf["kind"] in kinds]


def connector(authority):
    pid, = stories.connector_pids(authority)
    return pid


# ---- what is told, and what the log says of it ----

def test_an_agent_is_told_what_an_account_has_and_the_log_tells_of_it(
        here, directory):
    directory.add_member(group("contractors"), NORA)
    bot = here.agent("hr-bot")
    done = read(bot, task := bot.open_task()).ok(200)
    assert done["state"] == "done" and done["route"] == "auto"
    assert names(done) == [group("contractors")]
    assert done["result"]["account"] == NORA
    assert done["result"]["entitlements"][0] | {"detail": ""} == {
        "type": "group", "id": group("contractors"), "direct": True,
        "detail": ""}
    assert done["outcome"]["effect"] == "none" and done["tier"] == 1
    assert not {"plan", "digest", "grant", "rollbackToken"} & set(done)
    (index, leaf), = leaves(here, "read")
    assert done["evidence"]["read"]["index"] == index
    assert leaf["count"] == 1 and leaf["task"] == task
    assert leaf["about"] == done["id"] and len(leaf["commit"]) == 1
    assert "nora" not in str(leaf) and "contractors" not in str(leaf)
    assert not leaves(here, "armed", "outcome")
    shown = here.human("ada").disclose(index).ok()["payload"]
    assert shown["agent"] == "hr-bot" and shown["resource"] == NORA
    assert shown["result"] == done["result"]
    assert stories.verified(here)


def test_people_see_how_much_was_read_and_read_it_only_from_its_leaf(here):
    bot = here.agent("hr-bot")
    done = read(bot, bot.open_task()).ok(200)
    for name in ("ada", "alice"):
        shown = here.human(name).get(f"/v1/requests/{done['id']}").ok()
        assert shown["outcome"]["count"] == 0 and "result" not in shown
    assert bot.show(done["id"])["result"] == done["result"]


def test_the_same_key_gives_the_same_answer_without_a_second_read(
        here, directory):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    first = read(bot, task, key="one").ok(200)
    directory.add_member(group("contractors"), NORA)
    assert read(bot, task, key="one").ok(200) == first
    assert len(leaves(here, "read")) == 1
    read(bot, task, person("omar"), key="one").refused(422, "key-reused")
    here.restart()
    assert read(bot, task, key="one").ok(200) == first
    wait_until(here.target_is_up, "the connector")
    again = read(bot, task, key="two").ok(200)
    assert names(again) == [group("contractors")] and names(first) == []
    assert len(leaves(here, "read")) == 2


def test_a_freeze_and_the_hour_of_the_day_do_not_stop_reading(here):
    freeze(here)
    bot = here.agent("hr-bot")
    assert read(bot, bot.open_task()).ok(200)["state"] == "done"


def test_what_was_read_cannot_be_undone(here):
    bot = here.agent("hr-bot")
    done = read(bot, bot.open_task()).ok(200)
    bot.rollback(done["id"]).refused(409, "no-way-back")


def test_it_is_explained_without_reading(here):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    assert bot.call("POST", "/v1/explain", body(task)).ok()["route"] == "auto"
    assert bot.call("POST", "/v1/explain",
                    body(task, HEIDI)).ok()["route"] == "deny"
    assert not leaves(here, "read", "decision")


# ---- who may not ----

def denied(answer, *policies):
    request = answer.refused(403, "denied")["request"]
    assert request["state"] == "denied" and "result" not in request
    found = [row["id"] for row in request["decision"]["policies"]]
    assert found == list(policies), request["decision"]
    return request


def test_an_agent_whose_class_does_not_list_it_reads_nothing(make):
    def change(manifests):
        for manifest in may_read(manifests):
            if manifest["metadata"]["name"] == "identity-ops":
                manifest["spec"]["actions"].remove("ReadEntitlements")
        return manifests
    authority = make(change=change)
    bot = authority.agent("hr-bot")
    request = denied(read(bot, bot.open_task()), "g05-not-covered")
    (_, leaf), = leaves(authority, "decision")
    assert leaf["route"] == "deny" and leaf["about"] == request["id"]
    assert not leaves(authority, "read")


def test_an_agent_that_does_not_analyze_reads_nothing(make):
    def change(manifests):
        for manifest in may_read(manifests):
            if manifest["metadata"]["name"] == "hr-bot":
                manifest["spec"]["capabilities"] = ["execute"]
        return manifests
    bot = make(change=change).agent("hr-bot")
    denied(read(bot, bot.open_task()))


def test_above_the_clearance_nothing_is_read(here):
    bot = here.agent("hr-bot")
    denied(read(bot, bot.open_task(), HEIDI))


@pytest.mark.parametrize("spelling", [
    "uid=heid\\69,ou=people,dc=example,dc=org",
    "UID=heidi , ou=people,dc=example,dc=org",
    "uid=\\48eidi,ou=people,dc=example,dc=org"])
def test_another_spelling_of_an_account_reads_no_more(here, spelling):
    bot = here.agent("hr-bot")
    request = denied(read(bot, bot.open_task(), spelling))
    assert "heidi" not in str(request).lower().replace(spelling.lower(), "")
    assert not leaves(here, "read")


def test_whether_an_account_is_there_is_not_told_to_who_may_not_read_it(here):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    there, absent = (denied(read(bot, task, f"uid={name},ou=services,"
                                 "dc=example,dc=org"))
                     for name in ("hr-bot", "nobody"))
    assert there["decision"]["forAgent"] == absent["decision"]["forAgent"]
    assert there["decision"]["cause"] == absent["decision"]["cause"]


def test_a_target_that_the_task_did_not_declare_is_not_read(here):
    bot = here.agent("hr-bot")
    read(bot, bot.open_task(), target="another-directory").refused(
        422, "target-not-declared")


def test_a_contained_agent_reads_nothing(here):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    here.human("ada").contain("agent", "hr-bot").ok()
    assert read(bot, task).status in (401, 404, 409)
    assert not leaves(here, "read")


@pytest.mark.parametrize("changes, at", [
    ({"parameters": {"member": NORA}}, "/parameters"),
    ({"mode": "recommend"}, "/mode"), ({"ttl": "15m"}, "/ttl"),
    ({"resource": ""}, "/resource"), ({"resource": "x" * 1025}, "/resource")])
def test_what_makes_no_sense_for_a_read_is_refused(here, changes, at):
    bot = here.agent("hr-bot")
    refused = read(bot, bot.open_task(), **changes).refused(422, "invalid")
    assert refused["errors"][0]["at"] == at


SIGNED = """
@id("r97-the-soc-signs")
@title("The SOC signs what is read of the least")
forbid (
  principal is Gov::Agent,
  action == Gov::Action::"ReadEntitlements",
  resource
)
when { resource.sensitivity <= 1 }
unless
{
  context.approvals.hasTag("soc") && context.approvals.getTag("soc") >= 1
};
"""


def signed(spec):
    spec["policies"]["signed.cedar"] = SIGNED
    spec["scenarios"]["entities"]["Dataset"]["least"] = {
        "plane": "directory", "domain": "corp", "tier": 0, "sensitivity": 1}
    spec["scenarios"]["cases"].append({
        "name": "the soc signs", "p": "operator", "a": "ReadEntitlements",
        "r": ["Dataset", "least"], "want": "pending",
        "requires": {"approvals": {"soc": 1}}})


def test_a_rule_that_wants_signatures_denies_since_nobody_can_sign_a_read(
        here):
    digest = test_changes.bundle(here, "signed", signed)
    for name in ("ada", "heidi"):
        here.human(name).activate("signed", digest).ok()
    bot = here.agent("hr-bot")
    task = bot.open_task()
    request = denied(read(bot, task, OMAR), "r97-the-soc-signs")
    assert "nobody can sign" in request["decision"]["forAgent"]
    done = read(bot, task, NORA).ok(200)
    for one in (request, done):
        assert here.human("ada").post(
            f"/v1/requests/{one['id']}/replay").ok()["same"] is True
    assert not here.human("carol").get("/v1/approvals").ok()["approvals"]


# ---- what goes wrong at the target ----

def failed(answer, cause):
    request = answer.ok(200)
    assert request["state"] == "failed", request
    assert request["outcome"]["cause"] == cause and "result" not in request
    return request


def test_an_account_that_is_not_there_is_told(here):
    bot = here.agent("hr-bot")
    request = failed(read(bot, bot.open_task(), person("nobody")),
                     "no-such-account")
    (_, leaf), = leaves(here, "closed")
    assert leaf["about"] == request["id"] and leaf["state"] == "failed"


def test_an_account_out_of_the_connectors_reach_is_told(here):
    bot = here.agent("hr-bot")
    failed(read(bot, bot.open_task(), group("lunch-list")), "out-of-base")
    failed(read(bot, bot.open_task(), f"no name,{PEOPLE}"), "invalid")


def test_what_is_too_much_to_tell_is_not_cut_short(here, directory):
    long = "x" * 200
    directory.add("\n".join(entry_ldif(f"cn={long}{n},{GROUPS}", {
        "objectClass": "groupOfNames", "cn": f"{long}{n}", "member": NORA})
        for n in range(1100)))
    bot = here.agent("hr-bot")
    failed(read(bot, bot.open_task()), "too-large")
    assert not leaves(here, "read")


def test_a_target_that_is_down_is_a_denial_with_a_time_to_come_back(
        here, directory):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    directory.stop()
    request = read(bot, task).refused(403, "denied")["request"]
    assert request["decision"]["cause"] == "unavailable"
    assert request["decision"]["retry"] == "30s"
    (_, leaf), = leaves(here, "decision")
    assert leaf["cause"] == "unavailable"
    assert not leaves(here, "read")


def stopped(authority, meanwhile):
    """What an agent is answered whose read is with a connector that stands
    still until meanwhile(task) is over."""
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    pid = connector(authority)
    os.kill(pid, signal.SIGSTOP)
    with futures.ThreadPoolExecutor(1) as pool:
        try:
            asked = pool.submit(read, bot, task)
            wait_until(lambda: authority.health()["openRequests"],
                       "the read to be under way")
            meanwhile(task)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        return asked.result()


def test_a_connector_that_dies_tells_nothing_and_another_takes_its_place(here):
    pid = connector(here)
    answer = stopped(here, lambda task: os.kill(pid, signal.SIGKILL))
    request = answer.refused(403, "denied")["request"]
    assert request["decision"]["cause"] == "unavailable"
    assert not leaves(here, "read")
    wait_until(lambda: stories.is_up(here), "another connector")
    bot = here.agent("hr-bot")
    assert read(bot, bot.open_task()).ok(200)["state"] == "done"


def test_a_kind_of_connector_that_cannot_read_says_so(make_authority):
    authority = make_authority().found(change=may_read, drill=False)
    bot = authority.agent("hr-bot")
    failed(read(bot, bot.open_task()), "cannot-read")


def test_who_was_contained_meanwhile_is_told_nothing(here):
    ada = here.human("ada")
    answer = stopped(here, lambda task: ada.contain("task", task).ok())
    assert "entitlements" not in answer.text
    assert answer.ok(200)["state"] == "cancelled"
    assert not leaves(here, "read")


def test_a_task_that_is_over_reads_nothing_more(here):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    read(bot, task).ok(200)
    bot.complete(task).ok()
    assert read(bot, task).status in (404, 409)
    assert len(leaves(here, "read")) == 1


# ---- erasure ----

def test_what_was_read_of_a_person_goes_with_them(make_authority, directory):
    directory.add(entry_ldif(ZEBEDEE, {
        "objectClass": "inetOrgPerson", "uid": "zebedee", "cn": "Zebedee",
        "sn": "Z"}))
    directory.add_member(group("contractors"), ZEBEDEE)

    def change(manifests):
        found = test_erasure.with_zebedee(authority)(may_read(manifests))
        found[-1]["spec"]["accounts"] = [f"{TARGET}/{ZEBEDEE}"]
        return found
    authority = make_authority(directory=directory, connector_changes={
        "accounts": {"base": PEOPLE}})
    authority.found(change=change, drill=False)
    bot = authority.agent("hr-bot")
    done = read(bot, task := bot.open_task(), ZEBEDEE, key="one").ok(200)
    assert names(done) == [group("contractors")]
    index = done["evidence"]["read"]["index"]
    assert authority.human("ada").disclose(index).ok()
    wrapped, sealed = test_erasure.keys_of(authority, "human:zebedee")
    assert sealed
    bot.complete(task).ok()
    test_erasure.leave(authority)
    test_erasure.erase(authority, "human:zebedee").ok(200)
    test_erasure.assert_nowhere(test_erasure.files_of(authority),
                                ["zebedee"], sealed + wrapped)
    authority.human("ada").disclose(index).refused(404)
    shown = bot.show(done["id"])
    assert "result" not in shown and "resource" not in shown
    assert stories.verified(authority)


# ---- the command line ----

def ask(bot, task, account, *more):
    return bot.writ("request", "create", "--task", task, "--action",
                    "ReadEntitlements", "--target", TARGET, "--resource",
                    account, "--wait", "20s", *more)


def test_the_command_line_prints_a_table(here, directory):
    directory.add_member(group("contractors"), NORA)
    bot = here.agent("hr-bot")
    task = bot.open_task()
    text = ended(ask(bot, task, NORA), OK)
    lines = [line.split() for line in text.splitlines()]
    assert ["TYPE", "ENTITLEMENT", "DIRECT"] == next(
        line for line in lines if line[:1] == ["TYPE"])[:3]
    assert ["group", group("contractors")] in [line[:2] for line in lines]
    shown = document(ask(bot, task, NORA, "--output", "json"))
    assert names(shown) == [group("contractors")]
    assert "Read leaf" in text


def test_the_command_line_tells_how_a_read_fails(here):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    assert "no-such-account" in str(document(
        ask(bot, task, person("nobody"), "--output", "json"), FAILED))
    ended(ask(bot, task, HEIDI), DENIED)
    assert "/ttl" in words(ask(bot, task, NORA, "--ttl", "5m"))
