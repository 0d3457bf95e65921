"""Past decisions made again: with a bundle that is to decide, and with the one
that did."""
import json

import pytest

import harness
import stories
from harness import group
from stories import add, remove, somebody

# pylint: disable=redefined-outer-name

NO_MORE = """
@id("g97-nobody-is-added")
@title("Nobody is added to a group any more")
forbid (
  principal is Gov::Agent,
  action == Gov::Action::"AddToGroup",
  resource
);
"""
SHORTER = """
@id("r96-a-minute")
@title("What is lent ends within a minute")
forbid (
  principal is Gov::Agent,
  action == Gov::Action::"AddToGroup",
  resource
)
when { context.ttl > duration("1m") };
"""
MORE_SIGN = """
@id("r95-soc-too")
@title("From tier 2 the SOC signs, too")
forbid (
  principal is Gov::Agent,
  action == Gov::Action::"AddToGroup",
  resource
)
when { resource.tier >= 2 }
unless
{
  context.approvals.hasTag("soc") && context.approvals.getTag("soc") >= 1
};
"""
FINDING, CONFLICT = 7, 6  # exit codes of writ(1)


@pytest.fixture(scope="module")
def here():
    with harness.Authority() as authority:
        yield authority.found()


@pytest.fixture
def story(here):
    """What hr-bot asked: {action: [ids]}, and the leaf it begins with."""
    bot = here.agent("hr-bot")
    begin = here.health()["leaves"]
    task, member = bot.open_task(), somebody()
    added = [add(bot, task, "lunch-list", name).ok(200)["id"]
             for name in (member, somebody())]
    gone = remove(bot, task, "lunch-list", member).ok(202)["id"]
    waits = stories.waiting(here, bot=bot, task=task)["id"]
    denied = add(bot, task, "contractors",
                 somebody()).refused(403)["request"]["id"]
    return {"from": begin, "added": added, "removed": gone, "waits": waits,
            "denied": denied, "to": here.health()["leaves"]}


def active(authority):
    return authority.inventory("PolicyBundle", "governance").ok()["spec"]


def files(spec, **policies):
    names = ("schema", "policies", "invariants", "templates")
    kept = {name: spec[name] for name in names}
    return {**kept, "policies": {**spec["policies"], **policies}}


def simulate(authority, by="ada", **body):
    human = authority.human(by)
    return authority.call("POST", "/v1/policy/simulate", body,
                          bearer=human.session or human.login())


def decided(authority, story):
    return [index for index, leaf in enumerate(stories.leaves(authority))
            if leaf["kind"] == "decision"
            and story["from"] <= index < story["to"]]


def simulated(authority, story, bundle, **more):
    return simulate(authority, files=bundle, **{
        "from": story["from"], "to": story["to"], **more}).ok()


def test_the_bundle_that_decided_changes_nothing(here, story):
    said = simulated(here, story, files(active(here)))
    assert said["changed"] == said["notReplayed"] == []
    assert said["decisions"] == said["unchanged"] == len(decided(here, story))
    assert said["decisions"] >= 5 and "next" not in said
    assert said["bundle"] == here.human("ada").get("/v1/policy").ok()["digest"]
    named = simulate(here, bundle="governance", **{
        "from": story["from"], "to": story["to"]}).ok()
    assert named["unchanged"] == said["unchanged"]


def test_a_bundle_that_forbids_lists_exactly_what_was_allowed(here, story):
    said = simulated(here, story, files(active(here),
                                        **{"more.cedar": NO_MORE}))
    changed = {row["request"] for row in said["changed"]}
    assert changed == {*story["added"], story["waits"]}
    for row in said["changed"]:
        assert row["action"] == "AddToGroup"
        assert row["was"]["route"] in ("auto", "approval")
        assert row["now"]["route"] == row["now"]["decision"] == "deny"
        assert "g97-nobody-is-added" in row["now"]["policies"]
        assert row["index"] in decided(here, story)
        assert "inventoryChanged" not in row
    assert said["unchanged"] + len(said["changed"]) == said["decisions"]


def test_less_time_and_more_signatures_are_changes_too(here, story):
    said = simulated(here, story, files(active(here),
                                        **{"more.cedar": SHORTER}))
    assert {row["request"]: row["now"]["ttl"] for row in said["changed"]} == {
        ident: "1m" for ident in (*story["added"], story["waits"])}
    assert all(row["now"]["route"] == row["was"]["route"]
               for row in said["changed"])
    said = simulated(here, story, files(active(here),
                                        **{"more.cedar": MORE_SIGN}))
    row, = said["changed"]
    assert row["request"] == story["waits"]
    assert row["was"]["route"] == row["now"]["route"] == "approval"
    assert row["now"]["requires"]["approvals"] == {"iam-approvers": 1,
                                                   "soc": 1}


def test_a_simulation_is_read_a_page_at_a_time_and_leaves_a_leaf(here, story):
    bundle = files(active(here), **{"more.cedar": NO_MORE})
    whole = simulated(here, story, bundle)
    pages, next_ = [], story["from"]
    while next_ is not None:
        page = simulated(here, story, bundle, **{"from": next_, "limit": 2})
        assert page["decisions"] <= 2
        pages += page["changed"]
        next_ = page.get("next")
    assert pages == whole["changed"]
    leaf = json.loads(here.leaf(whole["evidence"]["index"])["leaf"])
    assert (leaf["kind"], leaf["purpose"]) == ("disclosed", "simulate")
    assert (leaf["from"], leaf["to"]) == (story["from"], story["to"])
    assert leaf["bundle"] == whole["bundle"]
    assert b"ada" not in json.dumps(leaf).encode()


def test_only_administrators_and_auditors_make_decisions_again(here, story):
    here.human("bob").login()
    size = here.health()["leaves"]
    body = {"bundle": "governance"}
    assert simulate(here, "bob", **body).refused(403, "may-not-replay")
    here.human("bob").post(
        f"/v1/requests/{story['added'][0]}/replay").refused(
            403, "may-not-replay")
    here.agent("hr-bot").call("POST", "/v1/policy/simulate", body).refused(
        403, "wrong-caller")
    here.call("POST", "/v1/policy/simulate", body).refused(401)
    assert here.health()["leaves"] == size


@pytest.mark.parametrize("body, status, code, word", [
    ({"bundle": "nosuch"}, 409, "bundle", "staged"),
    ({}, 422, "invalid", None),
    ({"bundle": "governance", "files": {}}, 422, "invalid", None),
    ({"bundle": "governance", "limit": 0}, 422, "invalid", None),
    ({"bundle": "governance", "limit": 1001}, 422, "invalid", None),
    ({"bundle": "governance", "from": -1}, 422, "invalid", None),
])
def test_what_cannot_be_simulated_is_refused(here, body, status, code, word):
    problem = simulate(here, **body).refused(status, code)
    assert not word or word in problem["detail"]


@pytest.mark.parametrize("text, word", [
    ("forbid (principal, action, resource) when { ", "bad.cedar"),
    ("forbid (principal, action, resource);", "bad.cedar"),
    ('@id("z1") forbid (principal is Gov::Agent, action, resource)'
     ' when { principal.wings > 2 };', "z1"),
])
def test_a_bundle_that_does_not_validate_is_refused_with_its_fault(
        here, text, word):
    problem = simulate(here, files=files(active(here), **{
        "bad.cedar": text})).refused(409, "bundle")
    assert word in problem["detail"]


def test_a_request_is_replayed_to_the_same_answer(here, story):
    for ident, route in ((story["added"][0], "auto"),
                         (story["waits"], "approval"),
                         (story["denied"], "deny")):
        said = here.human("ada").post(f"/v1/requests/{ident}/replay").ok()
        assert said["same"] and said["request"] == ident
        assert said["was"]["route"] == said["now"]["route"] == route
        assert sorted(said["was"]["policies"]) == sorted(
            said["now"]["policies"])
        assert "inventoryChanged" not in said
    here.human("ada").post("/v1/requests/req_none/replay").refused(
        404, "no-such-request")


def test_the_command_line_tells_what_would_change(here, story, tmp_path):
    ada = here.human("ada")
    assert ada.writ("login").returncode == 0
    candidate = tmp_path / "candidate"
    harness.run("cp", "-r", here.bundle, candidate)
    span = ("--from", str(story["from"]), "--to", str(story["to"]))
    done = ada.writ("policy", "simulate", candidate, *span)
    assert done.returncode == 0 and b"none" in done.stdout
    (candidate / "more.cedar").write_text(NO_MORE)
    done = ada.writ("policy", "simulate", candidate, *span)
    assert done.returncode == 0
    for ident in story["added"]:
        assert ident.encode() in done.stdout
    assert b"g97-nobody-is-added" in done.stdout
    assert story["removed"].encode() not in done.stdout
    done = ada.writ("policy", "simulate", candidate, *span, "--limit", "1")
    assert b"There are more: --from" in done.stderr
    (candidate / "more.cedar").write_text("forbid (")
    done = ada.writ("policy", "simulate", candidate)
    assert done.returncode == CONFLICT and b"more.cedar" in done.stderr
    done = ada.writ("request", "explain", story["added"][0], "--replay")
    assert done.returncode == 0 and b"auto" in done.stdout


def test_what_the_class_demanded_in_vain_stays_denied():
    def demand(manifests):
        for manifest in manifests:
            if manifest["metadata"]["name"] == "identity-ops":
                manifest["spec"]["requiresEvidence"] = ["prompt"]

    with harness.Authority() as authority:
        bot = authority.found(demand).agent("hr-bot")
        denied = add(bot, bot.open_task(), "lunch-list", somebody()).refused(
            403)["request"]
        assert denied["decision"]["cause"] == "evidence"
        said = simulate(authority, bundle="governance").ok()
        assert said["unchanged"] == said["decisions"] == 1
        again = authority.human("ada").post(
            f"/v1/requests/{denied['id']}/replay").ok()
        assert again["same"] and again["now"]["cause"] == "evidence"


def test_a_request_is_replayed_with_the_bundle_that_decided_it():
    with harness.Authority() as authority:
        bot = authority.found().agent("hr-bot")
        ident = add(bot, bot.open_task(), "lunch-list", somebody()).ok()["id"]
        ada = authority.human("ada")
        manifest = authority.inventory("PolicyBundle", "governance").ok()
        manifest["metadata"]["name"] = "next"
        manifest["spec"]["policies"]["more.shadow.cedar"] = NO_MORE
        authority.apply([manifest])
        digest = {row["name"]: row["digest"] for row in ada.get(
            "/v1/policy").ok()["staged"]}["next"]
        for who in ("ada", "heidi"):
            authority.human(who).activate("next", digest).ok()
        said = ada.post(f"/v1/requests/{ident}/replay").ok()
        assert said["same"] and "shadow" not in said["now"]
        changed = authority.inventory("PolicyBundle", "governance").ok()
        changed["spec"]["policies"]["more.cedar"] = NO_MORE
        authority.apply([changed])  # nothing has the old bundle any more
        ada.post(f"/v1/requests/{ident}/replay").refused(409, "not-replayed")
        said = simulate(authority, bundle="next").ok()
        assert said["unchanged"] == said["decisions"] == 1
        assert said["inventoryChanged"] == 0  # a bundle is no entity


def test_erased_facts_are_told_as_not_replayed():
    with harness.Authority() as authority:
        authority.found()
        bot = authority.agent("hr-bot")
        task = bot.open_task()
        ident = add(bot, task, "contractors",
                    somebody()).refused(403)["request"]["id"]
        bot.complete(task).ok(200, 202)
        harness.wait_until(lambda: stories.states(authority, "tasks").get(
            task) == "completed", "the task to be completed")
        authority.human("ada").erase("agent:hr-bot")
        authority.human("heidi").erase("agent:hr-bot").ok()
        said = simulate(authority, bundle="governance").ok()
        rows = {row["request"]: row["why"] for row in said["notReplayed"]}
        assert rows[ident] == "erased"
        assert said["changed"] == [] and said["unchanged"] == 0
        authority.human("ada").post(f"/v1/requests/{ident}/replay").refused(
            409, "not-replayed")


def test_a_changed_inventory_is_told_and_survives_a_restart():
    with harness.Authority() as authority:
        authority.found()
        bot = authority.agent("hr-bot")
        ident = add(bot, bot.open_task(), "lunch-list", somebody()).ok()["id"]
        ada = authority.human("ada")
        authority.restart()
        ada.login()
        said = ada.post(f"/v1/requests/{ident}/replay").ok()
        assert said["same"] and "inventoryChanged" not in said
        agent = authority.inventory("Agent", "hr-bot").ok()
        agent["spec"]["status"] = "suspended"
        authority.apply([agent])
        said = ada.post(f"/v1/requests/{ident}/replay").ok()
        assert said["inventoryChanged"] and not said["same"]
        assert said["now"]["route"] == "deny"
        assert ada.writ("login").returncode == 0
        done = ada.writ("request", "explain", ident, "--replay")
        assert done.returncode == FINDING
        assert b"inventory has changed" in done.stderr
        told = simulate(authority, bundle="governance").ok()
        assert told["inventoryChanged"] == told["decisions"] > 0
        assert {row["request"] for row in told["changed"]} == {ident}
