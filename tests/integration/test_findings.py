"""What reviewers found, each as a promise that it does not come back."""
import copy
import os
import threading

import pytest

import harness
import slapd
import stories
from harness import TARGET, group, wait_until
from stories import add, grants, holds, somebody, vouch, waiting

# pylint: disable=redefined-outer-name

SECOND = "second-bot"
DOMAIN_ADMINS = (("dave", "iam-approvers"), ("carol", "security"))


def with_second_bot(manifests):
    """Another agent like hr-bot, of the same owner, and a target that nobody
    connects to."""
    def named(kind, name):
        return next(m for m in manifests if m["kind"] == kind
                    and m["metadata"]["name"] == name)

    bot = copy.deepcopy(named("Agent", "hr-bot"))
    bot["metadata"]["name"] = SECOND
    bot["spec"]["identities"] = [f"spiffe://example.org/agent/{SECOND}"]
    del bot["spec"]["accounts"]
    elsewhere = copy.deepcopy(named("Target", TARGET))
    elsewhere["metadata"]["name"] = "elsewhere"
    named("TaskClass", "identity-ops")["spec"]["openers"].append(SECOND)
    return manifests + [bot, elsewhere]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared") / "authority"
    with harness.Authority(folder=folder,
                           bundle_options=("--bench",)) as authority:
        yield authority.found(change=with_second_bot)


@pytest.fixture
def bot(here):
    return here.agent("hr-bot")


@pytest.fixture
def task(bot):
    return bot.open_task()


def manifest(authority, kind, name, **spec):
    """A manifest as it stands, with other members of its spec."""
    shown = authority.inventory(kind, name).ok()
    wanted = {k: shown[k] for k in ("kind", "metadata", "spec")}
    return {**wanted, "spec": {**wanted["spec"], **spec}}


# Vouching.

def test_a_word_that_no_policy_knows_is_not_vouched_for(here, bot, task):
    here.human("frank").vouch("nonsense", "AddToGroup",
                              group("contractors")).refused(400, "malformed")
    vouch(here, "contractors")
    add(bot, task, "contractors", somebody()).ok(200)


def test_nobody_vouches_for_longer_than_thirty_days(here):
    frank = here.human("frank")
    frank.vouch("ticket", "AddToGroup", group("contractors"),
                hours=30 * 24 + 1).refused(409, "may-not-vouch")
    frank.vouch("ticket", "AddToGroup", group("contractors"),
                hours=30 * 24 - 1).ok(201)


def test_many_vouchers_hide_none_and_all_stand_after_a_restart(
        make_authority):
    authority = make_authority().found()
    bot, frank = authority.agent("hr-bot"), authority.human("frank")
    for number in range(66):
        frank.vouch("ticket", "AddToGroup", group("contractors"),
                    reference=f"T-{number}").ok(201)
    vouch(authority, "contractors")
    add(bot, bot.open_task(), "contractors", somebody()).ok(200)
    authority.restart()
    wait_until(authority.target_is_up, "the connector")
    add(bot, bot.open_task(), "contractors", somebody()).ok(200)


def test_the_leaf_of_a_voucher_says_nothing_of_what_it_is_about(here):
    told = here.human("frank").vouch("ticket", "AddToGroup",
                                     group("mail-admins")).ok(201)
    leaf = stories.leaves(here)[told["evidence"]["index"]]
    assert leaf["kind"] == "voucher" and leaf["evidence"] == "ticket"
    assert "subject" not in leaf


# Approving.

def test_a_signature_of_a_key_that_was_taken_away_does_not_count(
        make_authority):
    authority = make_authority().found()
    member, bob = somebody(), authority.human("bob")
    request = waiting(authority, "domain-admins", member)
    bob.approve(request["id"], "iam-approvers").ok()
    bob.key.unlink()
    bob.key = bob.key.with_name("bob-new")
    harness.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bob",
                "-f", bob.key)
    authority.apply([manifest(authority, "Human", "bob",
                              keys=[bob.public_key])])
    authority.write_approvers()
    for who, asked in DOMAIN_ADMINS:
        authority.human(who).approve(request["id"], asked).ok()
    shown = authority.agent("hr-bot").show(request["id"])
    assert shown["state"] == "waiting"
    assert {a["human"] for a in shown["approvals"]} == {"dave", "carol"}
    assert not holds(authority, "domain-admins", member)
    # Who has a new key signs again.
    bob.approve(request["id"], "iam-approvers").ok()
    authority.agent("hr-bot").wait(request["id"], "done")
    assert holds(authority, "domain-admins", member)


def test_signatures_without_step_up_do_not_outlive_the_leave_for_them(
        make_authority):
    authority = make_authority().found()
    request = waiting(authority, "domain-admins")
    authority.human("bob").approve(request["id"], "iam-approvers").ok()
    authority.human("dave").approve(request["id"], "iam-approvers").ok()
    authority.apply([manifest(authority, "TaskClass", "identity-ops",
                              softwareKeys=False)])
    authority.human("carol").approve(request["id"], "security").refused(
        403, "may-not-approve")
    authority.apply([manifest(authority, "TaskClass", "identity-ops",
                              softwareKeys=True)])
    authority.human("carol").approve(request["id"], "security").ok()
    shown = authority.agent("hr-bot").show(request["id"])
    assert shown["state"] == "waiting"
    assert [a["human"] for a in shown["approvals"]] == ["carol"]


# Counting.

def facts(bot, task):
    return bot.explain(task, "AddToGroup", group("lunch-list"),
                       somebody()).ok()["facts"]


def test_what_an_agent_did_today_is_not_forgotten_by_a_restart(make_authority):
    authority = make_authority().found()
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    before = facts(bot, task)
    for _ in range(2):
        add(bot, task, "lunch-list", somebody()).ok(200)
    counted = facts(bot, task)
    assert counted["counters"] != before["counters"]
    authority.restart(crash=True)
    assert facts(bot, task)["counters"] == counted["counters"]
    assert facts(bot, task)["planes"] == counted["planes"]


# Classes.

def test_a_task_goes_by_its_class_as_it_was_and_as_it_is(make_authority):
    def small(manifests):
        next(m for m in manifests if m["metadata"]["name"] ==
             "identity-ops")["spec"]["maxTier"] = 1

    authority = make_authority().found(change=small)
    bot = authority.agent("hr-bot")
    old = bot.open_task()
    authority.apply([manifest(authority, "TaskClass", "identity-ops",
                              maxTier=3)])
    vouch(authority, "mail-admins")
    add(bot, old, "mail-admins", somebody()).refused(403, "denied")
    add(bot, bot.open_task(), "mail-admins", somebody()).ok(202)
    add(bot, old, "lunch-list", somebody()).ok(200)
    authority.apply([manifest(authority, "TaskClass", "identity-ops",
                              openers=["adviser"])])
    add(bot, old, "lunch-list", somebody()).refused(409, "task-not-open")


# What callers see.

def test_a_denial_does_not_tell_the_agent_what_the_target_holds(here, bot,
                                                                task):
    own = "uid=hr-bot,ou=services,dc=example,dc=org"
    problem = add(bot, task, "lunch-list", own).refused(403, "denied")
    request = problem["request"]["id"]
    assert "plan" not in problem["request"]
    assert "plan" not in bot.show(request)
    assert all("plan" not in row for row in
               bot.get("/v1/requests").ok()["requests"]
               if row["state"] == "denied")
    told = here.human("ada").get(f"/v1/requests/{request}").ok()
    assert told["plan"]["resource"] == group("lunch-list")


def test_strangers_learn_only_that_it_is_well(here, bot):
    public = {"status", "version", "origin", "leaves"}
    assert set(here.call("GET", "/v1/health").ok()) == public
    assert set(here.call("GET", "/v1/health", bearer="writs_x").ok()) == public
    assert set(bot.get("/v1/health").ok()) == public
    told = here.human("alice").get("/v1/health").ok()
    assert told["connectors"][0]["target"] == TARGET


def test_doctor_says_when_it_is_told_little(here):
    def doctor(who):
        return who.writ("doctor", "--config", here.config_path).stdout

    alice = here.human("alice")
    assert b"writ login" in doctor(alice)
    assert alice.writ("login").returncode == 0
    assert TARGET.encode() + b" is up" in doctor(alice)


def test_an_agent_sees_its_own_hold_and_how_many_others_there_are(here, bot,
                                                                  task):
    second, member = here.agent(SECOND), somebody()
    done = add(bot, task, "lunch-list", member).ok(200)
    joined = add(second, second.open_task(), "lunch-list", member).ok(200)
    grant = done["grant"]["id"]
    assert joined["grant"]["id"] == grant

    def seen(agent):
        return {row["id"]: row for row in
                agent.get("/v1/grants").ok()["grants"]}[grant]

    for agent, name in ((bot, "hr-bot"), (second, SECOND)):
        assert {h["agent"] for h in seen(agent)["holders"]} == {name}
        assert seen(agent)["otherHolders"] == 1
    assert "request" not in seen(second) and "agent" not in seen(second)
    assert len(grants(here)[grant]["holders"]) == 2
    other = add(bot, task, "lunch-list", somebody()).ok(200)["grant"]["id"]
    assert other not in {row["id"] for row in
                         second.get("/v1/grants").ok()["grants"]}


def test_a_person_has_sixteen_sessions_and_the_oldest_ends(here):
    frank = here.human("frank")
    tokens = [frank.login() for _ in range(17)]

    def status(token):
        return here.call("GET", "/v1/whoami", bearer=token).status

    assert status(tokens[0]) == 401
    assert {status(token) for token in tokens[1:]} == {200}


def test_it_is_recorded_who_proved_the_agent(here, bot, task):
    done = add(bot, task, "lunch-list", somebody()).ok(200)
    assert done["attestedBy"] == "token"
    adviser = here.agent("adviser")
    advised = add(adviser, adviser.open_task(), "lunch-list", somebody(),
                  mode="recommend").ok(200)
    adopted = here.human("alice").adopt(advised["id"], advised["digest"],
                                        task).ok()
    assert adopted["attestedBy"] == "sponsor"
    all_leaves = stories.leaves(here)
    assert all_leaves[adopted["evidence"]["decision"]["index"]][
        "attestedBy"] == "sponsor"


# Waiting.

def test_one_agent_that_waits_a_lot_shuts_nobody_out(make_authority):
    authority = make_authority().found()
    bot = authority.agent("hr-bot")
    request = waiting(authority)["id"]
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        bot.get(f"/v1/requests/{request}?wait=30").status))
               for _ in range(104)]
    for thread in threads:
        thread.start()
    # Eight find no place, at once; the others wait for the people.
    wait_until(lambda: len(answers) == 8, "those that find no place")
    assert set(answers) == {503}
    told = bot.get("/v1/tasks")
    told.refused(503, "busy")
    assert told.headers["retry-after"]
    # The kill switch works, and ends what they wait for.
    authority.human("ada").contain("agent", "hr-bot").ok()
    for thread in threads:
        thread.join()
    assert sorted(answers)[:96] == [200] * 96


# Asking twice.

def test_an_undo_elsewhere_needs_a_task_that_declared_the_target(here, bot,
                                                                 task):
    done = add(bot, task, "lunch-list", somebody()).ok(200)
    other = bot.open_task(targets=["elsewhere"])
    bot.rollback(done["id"], task=other).refused(422, "target-not-declared")
    assert bot.rollback(done["id"]).ok(200)["state"] == "done"


def test_a_denied_opening_is_denied_again_by_its_key(here):
    adviser, key = here.agent("adviser"), os.urandom(16).hex()
    body = {"class": "small-ops", "intent": "to see", "targets": [TARGET],
            "ttl": "1h"}
    token = adviser.token()
    adviser.call("POST", "/v1/tasks", body, key=key,
                 token=token).refused(403, "denied")
    adviser.call("POST", "/v1/tasks", body, key=key).refused(403, "denied")
    adviser.call("POST", "/v1/tasks", {**body, "intent": "to look"},
                 key=key).refused(422, "key-reused")
    adviser.call("POST", "/v1/tasks", body, token=token).refused(401,
                                                                 "replayed")


def test_a_record_that_is_sent_twice_is_attached_once(here, bot, task):
    body = {"kind": "prompt", "content": "bring nora in"}
    key, path = os.urandom(16).hex(), f"/v1/tasks/{task}/records"
    first = bot.call("POST", path, body, key=key).ok(201)
    assert bot.call("POST", path, body, key=key).ok(201) == first
    bot.call("POST", path, {**body, "content": "x"}, key=key).refused(
        422, "key-reused")
    assert bot.get(f"/v1/tasks/{task}").ok()["records"] == {"prompt": 1}
    # The key is no duty.
    here.call("POST", path, body, bearer=bot.token()).ok(201)


# Spelling.

def test_blanks_in_a_manifest_do_not_hide_who_gains(make_authority):
    spelled = "corp-directory/UID = hr-bot, OU = services,  dc=example,dc=org"

    def respell(manifests):
        next(m for m in manifests if m["metadata"]["name"] == "hr-bot")[
            "spec"]["accounts"] = [spelled]

    authority = make_authority().found(change=respell)
    bot = authority.agent("hr-bot")
    add(bot, bot.open_task(), "lunch-list",
        "uid=hr-bot,ou=services,dc=example,dc=org").refused(403, "denied")


def test_who_gains_and_cannot_be_told_may_be_the_agent_itself(ldap_authority):
    bot, wrapper = ldap_authority.agent("hr-bot"), group("wrapper")
    ldap_authority.directory.add(slapd.entry_ldif(wrapper, {
        "objectClass": "groupOfNames", "cn": "wrapper",
        "member": harness.person("nobody-at-all")}))
    problem = add(bot, bot.open_task(), "lunch-list", wrapper).refused(403)
    decision = problem["request"]["decision"]
    assert decision["cause"] == "policy", decision
    ldap_authority.directory.add_member(wrapper, harness.person("nora"))
    ldap_authority.directory.remove_member(wrapper,
                                           harness.person("nobody-at-all"))
    add(bot, bot.open_task(), "lunch-list", wrapper).ok(200)
