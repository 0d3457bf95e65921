"""Bundles that are to decide: what is refused, and what is only told."""
import harness
import pytest

TWICE = """
@id("g98-twice")
@title("What another guard says already")
forbid (principal is Gov::Agent, action, resource)
unless { principal.owner.status == Gov::Status::"active" };
"""
SHADOW = """
@id("s90-nothing-at-all")
@title("Nothing is changed any more")
forbid (
  principal is Gov::Agent,
  action in Gov::Action::"Change",
  resource
);
@id("s91-everything")
@title("Everything is allowed")
permit (principal is Gov::Agent, action, resource);
"""


@pytest.fixture(scope="module", name="here")
def fixture_here():
    with harness.Authority() as authority:
        yield authority.found()


def stage(authority, name, change):
    """Stages the active bundle after change(spec); its digest."""
    manifest = authority.inventory("PolicyBundle", "governance").ok()
    change(manifest["spec"])
    manifest["metadata"]["name"] = name
    authority.apply([manifest])
    return {row["name"]: row["digest"] for row in authority.human("ada").get(
        "/v1/policy").ok()["staged"]}[name]


def activate(authority, name, digest):
    for who in ("ada", "heidi"):
        authority.human(who).activate(name, digest).ok()


def test_a_policy_that_nobody_would_miss_keeps_a_bundle_from_deciding(here):
    def add(spec):
        spec["policies"]["more.cedar"] = TWICE
        # Decided by it, but not by it alone.
        for case in spec["scenarios"]["cases"]:
            if case.get("reason") == ["g02-owner-in-good-standing"]:
                del case["reason"]
    digest = stage(here, "twice", add)
    problem = here.human("ada").activate("twice", digest).refused(
        409, "bundle")
    assert "can be deleted" in problem["detail"]
    assert ("g98-twice" in problem["detail"] or
            "g02-owner-in-good-standing" in problem["detail"])
    assert here.human("ada").get("/v1/policy").ok()["bundle"] == "governance"


def test_a_shadow_is_told_and_never_obeyed(here):
    digest = stage(here, "next", lambda spec: spec["policies"].update(
        {"next.shadow.cedar": SHADOW}))
    activate(here, "next", digest)
    shown = here.human("ada").get("/v1/policy").ok()
    assert shown["bundle"] == "next"
    assert {row["id"] for row in shown["policies"] if row.get("shadow")} == {
        "s90-nothing-at-all", "s91-everything"}
    bot, adviser = here.agent("hr-bot"), here.agent("adviser")
    for agent, status, state in ((bot, 200, "done"),
                                 (adviser, 403, "denied")):
        asked = agent.ask(agent.open_task(), "AddToGroup",
                          harness.group("lunch-list"),
                          f"uid=nora,{harness.STAFF}")
        doc = asked.body.get("request", asked.body)
        assert asked.status == status and doc["state"] == state
        said = {row["id"]: row["would"] for row in doc["decision"]["shadow"]}
        assert said == {"s90-nothing-at-all": "forbid",
                        "s91-everything": "permit"}
        assert not any(row["id"].startswith("s9")
                       for row in doc["decision"]["policies"])
