"""Changes of the inventory: looked at, signed, applied, refused with the place
of what is wrong."""
import copy
import json

import pytest

import harness
import stories
from harness import moment
from stories import add, somebody, waiting


@pytest.fixture
def here(shared_authority):
    return shared_authority


def new_agent(name="new-bot", **spec):
    base = {"owner": "alice", "purpose": "for the test of changes",
            "expires": moment(86400), "capabilities": ["analyze"],
            "clearance": 1,
            "identities": [f"spiffe://example.org/agent/{name}"]}
    return {"kind": "Agent", "metadata": {"name": name},
            "spec": {k: v for k, v in {**base, **spec}.items()
                     if v is not None}}


def new_group(name, **spec):
    return {"kind": "Group", "metadata": {"name": name}, "spec": spec}


def places(problem):
    return {fault["at"] for fault in problem["errors"]}


def size(authority):
    return authority.health()["leaves"]


def same_text(manifests):
    return sorted(harness.canonical(m) for m in manifests)


# Looking and applying.

def test_a_dry_run_shows_what_would_change_and_changes_nothing(here):
    ada = here.human("ada")
    ada.login()
    before = size(here)
    shown = ada.preview([new_agent("dry-bot"),
                         here.inventory("Group", "soc").ok()]).ok(200)
    assert {(row["op"], row["kind"], row["name"]) for row in shown["diff"]} == {
        ("create", "Agent", "dry-bot"), ("unchanged", "Group", "soc")}
    assert shown["needs"] == 1
    assert here.inventory("Agent", "dry-bot").status == 404
    assert size(here) == before


def test_a_dry_run_names_each_member_with_old_and_new(here):
    changed = copy.deepcopy(here.inventory("Agent", "adviser").ok())
    changed["spec"]["clearance"] = 1
    row, = here.human("ada").preview([changed]).ok()["diff"]
    assert row["op"] == "update"
    assert row["changes"] == [{"path": "/clearance", "old": 2, "new": 1}]


def test_applying_twice_changes_once(here):
    manifest = new_agent("twice-bot")
    applied = here.human("ada").propose([manifest]).ok(200)
    assert stories.has_leaf(here, applied["evidence"])
    before = size(here)
    again = here.human("ada").propose([manifest]).ok(200)
    assert again["state"] == "unchanged" and size(here) == before


def test_what_is_shown_can_be_applied(here):
    manifests = [m for kind in ("Group", "Human", "Agent", "Target",
                                "TaskClass", "Plane", "Domain", "TrustDomain")
                 for m in here.inventory(kind).ok()["manifests"]]
    shown = here.human("ada").preview(manifests).ok()
    assert {row["op"] for row in shown["diff"]} == {"unchanged"}


def test_a_change_is_a_leaf_whose_payload_shows_who_signed_what(here):
    applied = here.human("ada").propose([new_agent("seen-bot")]).ok(200)
    index = applied["evidence"]["index"]
    leaf = stories.leaves(here)[index]
    assert leaf["kind"] == "change" and leaf["signatures"] == 1
    assert leaf["digest"] == applied["digest"]
    told = here.human("heidi").disclose(index).ok()["payload"]
    assert told["manifests"][0]["metadata"]["name"] == "seen-bot"
    assert told["signatures"][0]["human"] == "ada"
    # Names are personal data and stand in no leaf.
    assert "seen-bot" not in harness.canonical(leaf)


# Who signs.

def test_after_bootstrap_two_administrators_sign_what_concerns_people(here):
    change = [new_group("two-signers")]
    proposed = here.human("ada").propose(change).ok(202)
    assert proposed["needs"] == 2 and proposed["signatures"] == ["ada"]
    assert here.inventory("Group", "two-signers").status == 404
    here.human("ada").sign_change(
        proposed["id"], proposed["digest"]).refused(409, "signed-already")
    here.human("heidi").sign_change(proposed["id"],
                                    proposed["digest"]).ok(200)
    assert here.inventory("Group", "two-signers").status == 200


def test_nobody_but_administrators_signs(here):
    for name in ("alice", "erin", "frank"):
        here.human(name).propose([new_agent("their-bot")]).refused(
            403, "may-not-administer")
    proposed = here.human("ada").propose([new_group("not-theirs")]).ok(202)
    here.human("bob").sign_change(proposed["id"], proposed["digest"]).refused(
        403, "may-not-administer")


def test_who_gains_by_a_change_does_not_sign_it(here):
    heidi = copy.deepcopy(here.inventory("Human", "heidi").ok())
    heidi["spec"]["groups"].append("security")
    here.human("heidi").propose([heidi]).refused(403, "gains-by-it")
    proposed = here.human("ada").propose([heidi]).ok(202)
    here.human("heidi").sign_change(
        proposed["id"], proposed["digest"]).refused(403, "gains-by-it")
    assert here.inventory("Human", "heidi").ok()["spec"]["groups"] == [
        "administrators"]


def test_a_signature_over_another_set_changes_nothing(here):
    ada = here.human("ada")
    signed = ada.sign("change", digest=harness.change_digest(
        [new_agent("one-bot")]))
    here.call("POST", "/v1/changes", {
        "manifests": [new_agent("one-bot", clearance=4)], "prune": False,
        "signed": signed}).refused(409, "another-change")
    assert here.inventory("Agent", "one-bot").status == 404


def test_a_signature_of_another_purpose_changes_nothing(here):
    ada = here.human("ada")
    manifests = [new_agent("cross-bot")]
    for form in (ada.sign("login"),
                 ada.sign_text(ada.statement(
                     "change", digest=harness.change_digest(manifests)),
                     "writ-approval")):
        here.call("POST", "/v1/changes", {
            "manifests": manifests, "prune": False,
            "signed": form}).refused(401)


def test_the_last_two_administrators_stay(here):
    heidi = copy.deepcopy(here.inventory("Human", "heidi").ok())
    heidi["spec"]["status"] = "suspended"
    here.human("ada").propose([heidi]).refused(422, "administrators")


# What is wrong is said with its place.

@pytest.mark.parametrize("missing", ["owner", "purpose", "expires",
                                     "capabilities"])
def test_an_agent_without_one_of_these_is_refused(here, missing):
    problem = here.human("ada").preview(
        [new_group("fine"), new_agent("bad-bot", **{missing: None})]).refused(
            422, "manifests")
    assert f"/manifests/1/spec/{missing}" in places(problem) or \
        "/manifests/1/spec" in places(problem), problem
    assert here.inventory("Agent", "bad-bot").status == 404


@pytest.mark.parametrize("spec", [
    {"owner": "nobody"}, {"owner": "hr-bot"},
    {"identities": ["spiffe://example.org/agent/hr-bot"]},
    {"capabilities": ["everything"]}, {"capabilities": []},
    {"expires": "tomorrow"}, {"expires": 5}, {"clearance": 9},
    {"colour": "blue"}, {"identities": ["https://example.org/x"]},
    {"identities": ["spiffe://example.org"]}])
def test_an_agent_that_does_not_fit_is_refused(here, spec):
    problem = here.human("ada").preview(
        [new_agent("bad-bot", **spec)]).refused(422, "manifests")
    assert problem["errors"] and all(f["at"] and f["detail"]
                                     for f in problem["errors"])


@pytest.mark.parametrize("manifest", [
    {"kind": "Robot", "metadata": {"name": "x"}, "spec": {}},
    {"kind": "Group", "metadata": {"name": "Not A Name"}, "spec": {}},
    {"kind": "Group", "metadata": {}, "spec": {}},
    {"kind": "Group", "spec": {}}, {"kind": "Group"}, {}, "text", 5, None, [],
    {"kind": "Group", "metadata": {"name": "x"}, "spec": {}, "more": 1},
    {"kind": "Group", "metadata": {"name": "x"},
     "spec": {"parents": ["no-such-group"]}},
    {"kind": "Group", "metadata": {"name": "x"}, "spec": {"parents": ["x"]}},
    {"kind": "Human", "metadata": {"name": "x"},
     "spec": {"groups": ["no-such-group"], "keys": [], "timezone": "UTC"}},
    {"kind": "Human", "metadata": {"name": "x"},
     "spec": {"groups": [], "keys": ["ssh-ed25519 nonsense"],
              "timezone": "UTC"}},
    {"kind": "Human", "metadata": {"name": "x"},
     "spec": {"groups": [], "keys": [], "timezone": "Mars/Base"}},
])
def test_a_manifest_that_does_not_fit_is_refused(here, manifest):
    answer = here.human("ada").preview([manifest])
    problem = answer.refused(422)
    assert problem["errors"]


def test_what_others_refer_to_cannot_lose_what_they_refer_to(here):
    target = copy.deepcopy(here.inventory("Target", "corp-directory").ok())
    target["spec"]["plane"] = "no-such-plane"
    here.human("ada").preview([target]).refused(422, "manifests")


def test_the_same_manifest_twice_in_one_change_is_refused(here):
    here.human("ada").preview([new_group("same"),
                               new_group("same", description="x")]).refused(422)


def test_a_change_that_no_leaf_could_hold_is_refused(here):
    many = [new_group(f"group-{n}", description="x" * 1000)
            for n in range(1000)]
    here.human("ada").preview(many).refused(422, "too-large")
    assert here.health()["status"] == "ok"


def test_nothing_or_too_much_is_refused(here):
    ada = here.human("ada")
    ada.preview([]).refused(422)
    ada.preview([new_group(f"g-{n}") for n in range(1025)]).refused(422)
    here.call("POST", "/v1/changes", {"manifests": [new_group("x")]}).refused(
        422, "unsigned")
    ada.preview([new_group("x")], prune=True).refused(422, "administrators")


# What follows from a change.

def test_a_suspended_agent_is_not_proved_any_more(make_authority):
    authority = make_authority().found()
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    done = add(bot, task, "lunch-list", member, ttl="3s").ok(200)
    changed = copy.deepcopy(authority.inventory("Agent", "hr-bot").ok())
    changed["spec"]["status"] = "suspended"
    authority.human("ada").propose([changed]).ok(200)
    add(bot, task, "lunch-list", somebody()).refused(401)
    # What it placed ends all the same.
    stories.grant_state(authority, done["grant"]["id"], "ended")
    assert not stories.holds(authority, "lunch-list", member)


def test_a_signature_of_somebody_who_left_does_not_count(make_authority):
    authority = make_authority().found()
    request = waiting(authority, "domain-admins")
    authority.human("bob").approve(request["id"], "iam-approvers").ok(202)
    bob = copy.deepcopy(authority.inventory("Human", "bob").ok())
    bob["spec"]["status"] = "suspended"
    authority.apply([bob])
    # With bob gone too few are left, and it is not for one to sign for two.
    authority.human("carol").approve(request["id"], "security")
    authority.human("dave").approve(request["id"], "iam-approvers",
                                    digest=request["digest"])
    shown = authority.agent("hr-bot").show(request["id"])
    assert shown["state"] == "denied"
    assert shown["decision"]["code"] == "nobody-may-approve"
    authority.human("bob").approve(request["id"], "iam-approvers",
                                   digest=request["digest"]).refused(401)
    assert stories.armed_for(authority, request["id"]) == []


def test_a_tier_that_was_raised_voids_what_was_signed_below_it(make_authority):
    authority = make_authority().found()
    request = waiting(authority)
    target = copy.deepcopy(authority.inventory("Target",
                                               "corp-directory").ok())
    for rule in target["spec"]["classification"]:
        if "mail-admins" in rule["match"]["resource"]:
            rule["tier"] = 3
    authority.apply([target])
    authority.human("bob").approve(request["id"], "iam-approvers")
    shown = authority.agent("hr-bot").show(request["id"])
    assert shown["state"] != "done"
    assert stories.armed_for(authority, request["id"]) == []


def test_the_first_administrator_alone_only_until_there_is_a_second(
        make_authority):
    authority = make_authority()
    groups = [m for m in authority.manifests() if m["kind"] == "Group"]
    authority.human("ada").propose(groups).ok(200)
    rest = [m for m in authority.manifests() if m["kind"] != "Group"]
    authority.human("ada").propose(rest).ok(200)
    assert authority.human("ada").propose([new_group("later")]).ok(202)[
        "needs"] == 2


# What was signed is what happens.

def shown(authority, change):
    """A change as it stands, also when it waits no more."""
    return authority.human("ada").get(f"/v1/changes/{change['id']}").ok()


def described(name, text):
    return [new_group(name, description=text)]


def test_an_old_signature_does_not_bring_back_what_is_newer(here):
    ada, heidi = here.human("ada"), here.human("heidi")
    here.apply(described("moving", "first"))
    old = ada.propose(described("moving", "old")).ok(202)
    here.apply(described("moving", "newer"))
    heidi.sign_change(old["id"], old["digest"]).refused(409, "changed")
    assert here.inventory("Group", "moving").ok()["spec"] == {
        "description": "newer"}
    told = shown(here, old)
    assert told["state"] == "changed" and told["signatures"] == []
    heidi.sign_change(old["id"], old["digest"]).refused(404)
    # Proposed anew it is looked at as it stands now.
    here.apply(described("moving", "old"))


def test_what_came_into_being_meanwhile_voids_a_change(here):
    old = here.human("ada").propose(described("born", "one way")).ok(202)
    here.apply(described("born", "another way"))
    here.human("heidi").sign_change(old["id"], old["digest"]).refused(
        409, "changed")


def test_another_change_meanwhile_does_not_disturb_a_change(here):
    waits = here.human("ada").propose(described("undisturbed", "x")).ok(202)
    here.apply(described("elsewhere", "y"))
    applied = here.human("heidi").sign_change(
        waits["id"], waits["digest"]).ok(200)
    leaf = stories.leaves(here)[applied["evidence"]["index"]]
    assert leaf["base"] == waits["base"] and leaf["signatures"] == 2


def test_a_change_waits_a_day_and_no_longer(make_authority):
    authority = make_authority().found()
    old = authority.human("ada").propose(described("slow", "x")).ok(202)
    young = authority.human("ada").propose(described("fast", "x")).ok(202)
    assert old["created"][11:] == old["expires"][11:] != old["expires"]
    authority.stop()
    stories.edit_document(authority, "change", old["id"], expiresMs=1)
    authority.restart()
    heidi = authority.human("heidi")
    authority.human("ada").session = None
    heidi.sign_change(old["id"], old["digest"]).refused(404)
    told = shown(authority, old)
    assert told["state"] == "expired" and told["signatures"] == []
    heidi.sign_change(young["id"], young["digest"]).ok(200)


def test_a_change_of_many_manifests_fits_its_leaf(here):
    many = [new_group(f"many-{n}", description="x" * 600) for n in range(1000)]
    applied = here.apply(many)
    leaf = stories.leaves(here)[applied["evidence"]["index"]]
    assert leaf["changed"] == [{"op": "create", "kind": "Group", "count": 1000}]


def with_third_administrator(authority):
    carol = copy.deepcopy(authority.inventory("Human", "carol").ok())
    carol["spec"]["groups"].append("administrators")
    authority.apply([carol])


def test_a_signature_of_an_administrator_who_left_does_not_count_for_a_change(
        make_authority):
    authority = make_authority().found()
    with_third_administrator(authority)
    waits = authority.human("ada").propose(described("later", "x")).ok(202)
    ada = copy.deepcopy(authority.inventory("Human", "ada").ok())
    ada["spec"]["status"] = "suspended"
    authority.apply([ada], by=("heidi", "carol"))
    told = authority.human("heidi").sign_change(
        waits["id"], waits["digest"]).ok(202)
    assert told["signatures"] == ["heidi"]
    authority.human("carol").sign_change(waits["id"], waits["digest"]).ok(200)


def bundle(authority, name, change):
    """Stages the active bundle after change(spec); its digest."""
    manifest = authority.inventory("PolicyBundle", "governance").ok()
    change(manifest["spec"])
    manifest["metadata"]["name"] = name
    authority.apply([manifest])
    return {row["name"]: row["digest"] for row in authority.human("ada").get(
        "/v1/policy").ok()["staged"]}[name]


def narrow(spec):
    """A schema that knows no retired agents."""
    spec["schema"] = spec["schema"].replace(', "retired"]', "]")
    spec["scenarios"] = json.loads(json.dumps(spec["scenarios"]).replace(
        '"retired"', '"suspended"'))


def test_what_the_schema_of_policy_does_not_know_is_refused(make_authority):
    authority = make_authority().found()
    digest = bundle(authority, "narrow", narrow)
    for name in ("ada", "heidi"):
        authority.human(name).activate("narrow", digest).ok()
    problem = authority.human("ada").propose(
        [new_agent("old-bot", status="retired")]).refused(422, "manifests")
    assert "schema" in problem["errors"][0]["detail"]
    assert authority.inventory("Agent", "old-bot").status == 404
    authority.human("ada").propose([new_agent("old-bot")]).ok(200)
    assert authority.health()["status"] == "ok"


def test_a_bundle_that_cannot_contain_is_not_activated(here):
    def forget(spec):
        spec["templates"] = spec["templates"].replace("t01-quarantine",
                                                      "t01-other")
        spec["scenarios"]["cases"] = [
            case for case in spec["scenarios"]["cases"]
            if "t01-quarantine" not in json.dumps(case)]
    digest = bundle(here, "forgetful", forget)
    problem = here.human("ada").activate("forgetful", digest).refused(
        409, "bundle")
    assert "contained" in problem["detail"]


def test_an_activation_is_not_signed_as_a_change(here):
    digest = bundle(here, "elsewhere", lambda spec: None)
    here.human("ada").activate("elsewhere", digest).ok(202)
    waits, = [row for row in here.human("ada").get("/v1/changes").ok()[
        "changes"] if row.get("bundle") == "elsewhere"]
    assert waits["state"] == "waiting" and waits["id"].startswith("act_")
    for ident in (waits["id"], "activate%2Felsewhere", "elsewhere"):
        here.human("heidi").sign_change(ident, digest).refused(404)
    assert here.human("ada").get("/v1/policy").ok()["bundle"] == "governance"
    here.human("ada").activate("elsewhere", digest).refused(
        409, "signed-already")
