"""Removing what is not listed: what ends first, who is suspended, and what is
refused."""
import json

import harness
import stories
from harness import TARGET, wait_until
from stories import (add, grants, holds, leaves, somebody, verified, waiting)
from watchers import Detector, of_kind


def listed(authority, *without):
    """The inventory as a folder would have it, without some of it."""
    made = authority.manifests()
    return [m for m in made
            if f"{m['kind']}/{m['metadata']['name']}" not in without]


def prune(authority, manifests, by=("ada", "heidi")):
    first, *others = (authority.human(name) for name in by)
    answer = first.propose(manifests, prune=True)
    for signer in others:
        if answer.status != 202:
            break
        answer = signer.sign_change(answer.body["id"], answer.body["digest"])
    return answer


def without(manifests, kind, name, member, value):
    """value taken out of a list of a manifest's spec."""
    for made in manifests:
        if made["kind"] == kind and made["metadata"]["name"] == name:
            made["spec"][member].remove(value)
    return manifests


def no_adviser(authority):
    made = listed(authority, "Agent/adviser")
    return without(made, "TaskClass", "identity-ops", "openers", "adviser")


def no_bot(authority):
    made = listed(authority, "Agent/hr-bot", "TaskClass/small-ops")
    return without(made, "TaskClass", "identity-ops", "openers", "hr-bot")


def gone(authority, kind, name):
    wait_until(lambda: authority.inventory(kind, name).status == 404,
               f"{kind} {name} to be removed")


def rows(answer, op):
    return {(row["kind"], row["name"]) for row in answer["diff"]
            if row["op"] == op}


def test_what_is_absent_is_shown_then_signed_then_removed(authority):
    ada = authority.human("ada")
    made = no_adviser(authority)
    shown = ada.preview(made, prune=True).ok()
    assert rows(shown, "delete") == {("Agent", "adviser")}
    assert shown["ends"] == {"tasks": 0, "grants": 0}
    assert authority.inventory("agent", "adviser").status == 200
    prune(authority, made).ok(200)
    gone(authority, "agent", "adviser")
    authority.agent("adviser").get("/v1/tasks").refused(401, "unproved")
    removed = [leaf for leaf in of_kind(leaves(authority), "change")
               if leaf.get("event") == "removed"]
    assert len(removed) == 1 and verified(authority)
    authority.restart(crash=True).health()
    assert authority.inventory("agent", "adviser").status == 404


def test_without_prune_what_is_absent_stays(authority):
    authority.apply(no_adviser(authority))
    assert authority.inventory("agent", "adviser").status == 200


def test_a_signature_without_prune_is_none_with_it(authority):
    made = no_adviser(authority)
    ada = authority.human("ada")
    form = ada.sign("change", digest=harness.change_digest(made, False))
    authority.call("POST", "/v1/changes", {
        "manifests": made, "prune": True, "signed": form}).refused(
            409, "another-change")


def test_grants_end_first_and_are_read_back(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    member = somebody()
    done = add(bot, task, "lunch-list", member).ok(200)
    request = waiting(authority, bot=bot, task=task)
    made = no_bot(authority)
    shown = authority.human("ada").preview(made, prune=True).ok()
    assert shown["ends"] == {"tasks": 1, "grants": 1}
    assert rows(shown, "delete") == {("Agent", "hr-bot"),
                                     ("TaskClass", "small-ops")}
    change = prune(authority, made).ok(200)
    assert change["state"] == "ending"
    gone(authority, "agent", "hr-bot")
    assert grants(authority)[done["grant"]["id"]]["state"] == "ended"
    assert not holds(authority, "lunch-list", member)
    ended = authority.human("ada").get(f"/v1/requests/{request['id']}").ok()
    assert ended["state"] == "cancelled"
    ended = authority.human("ada").get(f"/v1/tasks/{task}").ok()
    assert ended["state"] == "removed"
    assert stories.open_armed(authority) == [] and verified(authority)


def test_nothing_is_removed_while_its_grant_may_stand(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    member = somebody()
    add(bot, task, "lunch-list", member).ok(200)
    authority.stop()
    config = authority.config_path.read_text()
    authority.config_path.write_text(config.replace(
        str(harness.program("writ-connect-null")), "/bin/false"))
    authority.start().health()
    change = prune(authority, no_bot(authority)).ok(200)
    assert change["state"] == "ending"
    # It may do nothing any more, and yet it is still there.
    bot.get("/v1/tasks").refused(401, "unproved")
    assert authority.inventory("agent", "hr-bot").ok()["spec"][
        "status"] == "retired"
    authority.stop()
    authority.config_path.write_text(config)
    authority.start().health()
    gone(authority, "agent", "hr-bot")
    assert not holds(authority, "lunch-list", member)


def test_a_target_goes_when_nothing_of_it_stands(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    member = somebody()
    add(bot, task, "lunch-list", member).ok(200)
    change = prune(authority, listed(authority, f"Target/{TARGET}")).ok(200)
    assert change["state"] == "ending"
    gone(authority, "target", TARGET)
    assert not holds(authority, "lunch-list", member)
    bot.call("POST", "/v1/tasks", {
        "class": "identity-ops", "intent": "go on", "targets": [TARGET],
        "ttl": "1h"}).refused(422, "no-such-target")


def test_agents_whose_owner_goes_are_suspended(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    member = somebody()
    add(bot, task, "lunch-list", member).ok(200)
    made = listed(authority, "Human/alice")
    for manifest in made:
        if manifest["kind"] == "TaskClass":
            manifest["spec"]["owner"] = "erin"
    shown = authority.human("ada").preview(made, prune=True).ok()
    assert rows(shown, "delete") == {("Human", "alice")}
    assert {("Agent", "hr-bot"), ("Agent", "adviser")} <= rows(shown, "update")
    status = [change for row in shown["diff"] if row["name"] == "hr-bot"
              for change in row["changes"] if change["path"] == "/status"]
    assert [change["new"] for change in status] == ["suspended"]
    assert shown["ends"]["tasks"] == 1
    prune(authority, made).ok(200)
    gone(authority, "human", "alice")
    spec = authority.inventory("agent", "hr-bot").ok()["spec"]
    assert (spec["status"], spec["owner"]) == ("suspended", "alice")
    bot.get("/v1/tasks").refused(401, "unproved")
    wait_until(lambda: not holds(authority, "lunch-list", member),
               "what it held to be taken back")
    # It comes back with an owner, and not without.
    made = [m for m in listed(authority) if m["metadata"]["name"] == "hr-bot"]
    authority.human("ada").propose(made).refused(422, "manifests")
    made[0]["spec"]["owner"] = "erin"
    authority.apply(made)
    bot.open_task()


def test_what_something_still_refers_to_is_refused_with_words(authority):
    answer = prune(authority, listed(authority, "Human/erin"))
    errors = answer.refused(422, "manifests")["errors"]
    assert {"at": f"Target/{TARGET}",
            "detail": "spec.owner: there is no Human 'erin'"} in errors
    answer = prune(authority, listed(authority, "Agent/adviser"))
    errors = answer.refused(422, "manifests")["errors"]
    assert any("adviser" in error["detail"] for error in errors)
    assert authority.inventory("human", "erin").status == 200


def test_the_last_two_administrators_are_not_removed(authority):
    answer = prune(authority, listed(authority, "Human/heidi"))
    answer.refused(422, "administrators")


def test_who_is_removed_does_not_sign_for_it(authority):
    authority.apply([{
        "kind": "Human", "metadata": {"name": "bob"}, "spec": {
            "groups": ["administrators"],
            "keys": [authority.human("bob").public_key]}}])
    made = [m for m in listed(authority, "Human/heidi")
            if m["metadata"]["name"] != "bob"]
    made.append(authority.inventory("human", "bob").ok())
    authority.human("heidi").propose(made, prune=True).refused(
        403, "gains-by-it")
    prune(authority, made, by=("ada", "bob")).ok(200)
    gone(authority, "human", "heidi")


def test_an_agent_known_by_its_oidc_token_alone_can_leave(authority):
    issuer = "https://issuer.example"
    cluster = {"kind": "TrustDomain", "metadata": {"name": "cluster"},
               "spec": {"oidc": {"issuer": issuer}}}
    bot = next(m for m in authority.manifests()
               if m["kind"] == "Agent" and m["metadata"]["name"] == "adviser")
    pod = json.loads(json.dumps(bot))
    pod["metadata"]["name"] = "pod"
    del pod["spec"]["identities"]
    pod["spec"]["oidc"] = [{"issuer": issuer, "claims": {"sub": "ops"}}]
    authority.apply(authority.manifests() + [cluster, pod],
                    by=("ada", "heidi"))
    prune(authority, authority.manifests() + [cluster]).ok(200)
    gone(authority, "Agent", "pod")


def test_the_bundle_that_decides_stays(authority):
    name = authority.human("ada").get("/v1/policy").ok()["bundle"]
    shown = authority.human("ada").preview(listed(authority), prune=True).ok()
    assert rows(shown, "delete") == set()
    prune(authority, no_adviser(authority)).ok(200)
    assert authority.inventory("policybundle", name).status == 200


def test_a_change_under_the_signatures_voids_them(authority):
    made = no_adviser(authority)
    first = authority.human("ada").propose(
        made + [Detector(authority, "edr").manifest()], prune=True).ok(202)
    authority.apply([{"kind": "Group", "metadata": {"name": "late"},
                      "spec": {}}])
    authority.human("heidi").sign_change(
        first["id"], first["digest"]).refused(409, "changed")
    assert authority.inventory("agent", "adviser").status == 200


def test_a_stop_in_between_does_not_keep_it(authority):
    bot = authority.agent("hr-bot")
    members = [somebody() for _ in range(5)]
    for member in members:
        add(bot, bot.open_task(), "lunch-list", member).ok(200)
    prune(authority, no_bot(authority)).ok(200)
    authority.restart(crash=True).health()
    gone(authority, "agent", "hr-bot")
    assert not any(holds(authority, "lunch-list", m) for m in members)
    assert verified(authority)


def test_what_comes_back_meanwhile_is_not_removed(authority):
    bot = authority.agent("hr-bot")
    add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    authority.stop()
    config = authority.config_path.read_text()
    authority.config_path.write_text(config.replace(
        str(harness.program("writ-connect-null")), "/bin/false"))
    authority.start().health()
    prune(authority, no_bot(authority)).ok(200)
    again = [m for m in listed(authority)
             if m["metadata"]["name"] == "hr-bot"]
    authority.apply(again)
    authority.stop()
    authority.config_path.write_text(config)
    authority.start().health()
    gone(authority, "taskclass", "small-ops")
    assert authority.inventory("agent", "hr-bot").ok()["spec"].get(
        "status", "active") == "active"


def test_the_command_line_shows_what_is_removed_before_it_signs(authority,
                                                                tmp_path):
    for number, manifest in enumerate(no_adviser(authority)):
        (tmp_path / f"{number:02}.yaml").write_text(json.dumps(manifest))
    ada, heidi = authority.human("ada"), authority.human("heidi")
    for person in (ada, heidi):
        assert person.writ("login", "--yes").returncode == 0
    dry = ada.writ("apply", "-f", tmp_path, "--prune", "--dry-run")
    assert dry.returncode == 0 and b"delete Agent/adviser" in dry.stdout, (
        dry.stderr)
    done = ada.writ("apply", "-f", tmp_path, "--prune", "--yes")
    assert done.returncode in (0, 4), done.stderr
    gone(authority, "agent", "adviser")
