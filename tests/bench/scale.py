"""How an authority does that is large: memory with many agents and open grants,
cost of a request as the log grows, containment of an agent with many grants.

Folders are made large by bench_grow, which writes them through the evidence
layer; what is measured afterwards is a daemon like any other."""
import os
import subprocess
import time

import harness
from harness import wait_until

# A measurement is one agent that asks far more than any may by default.
CONFIG = {"log": "info", "limits": {
    "openTasks": 1_000_000, "openRequests": 1_000_000,
    "requestsPerMinute": 100_000_000}}
AGENTS = 10_000
GRANTS = 100_000
CONTAINED = 1_000
START_MAX_S = 900  # each leaf of the log is looked at


def grow(authority, *arguments):
    path = harness.BUILD / "tests" / "bench" / "bench_grow"
    subprocess.run([str(path), "--config", str(authority.config_path),
                    *map(str, arguments)], check=True)


def memory_mib(authority):
    text = open(f"/proc/{authority.process.pid}/status", encoding="ascii").read()
    line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def null_authority():
    return harness.Authority(bundle_options=("--bench",),
                             connector_changes={"memberships": None},
                             config_changes=CONFIG)


def started(authority):
    """Seconds from the start of the process until it is healthy."""
    began = time.monotonic()
    authority.start(patience=START_MAX_S)
    return time.monotonic() - began


def placed(authority, agent, member, task):
    """A request that was carried out, as the requester sees it."""
    return agent.ask(task, "AddToGroup", harness.group("lunch-list"),
                         f"uid={member},{harness.STAFF}", ttl="8h").ok()


def measure_memory():
    with null_authority() as authority:
        authority.found()
        bot = authority.agent("hr-bot")
        grant = placed(authority, bot, "original", bot.open_task(ttl="8h"))
        authority.stop()
        grow(authority, "--copies", GRANTS, "--noun", "grant", "--id",
             grant["grant"]["id"], "--name", "uid=original")
        grow(authority, "--copies", AGENTS, "--noun", "object", "--id",
             "Agent/hr-bot", "--name", "hr-bot")
        seconds = started(authority)
        return {"agents": AGENTS, "grants": GRANTS, "start_s": seconds,
                "mib": memory_mib(authority)}


def database_mib(authority):
    return (authority.data / "state.db").stat().st_size / 2 ** 20


def measure_log(leaves, seconds, load, tell):
    """Rows of load on logs of these sizes, and how long they take to start."""
    with null_authority() as authority:
        authority.found()
        for size in leaves:
            authority.stop()
            grow(authority, "--leaves", size)
            os.sync()  # what it wrote is not what is measured
            start_s = started(authority)
            for name, who in (("denied before planning", "adviser"),
                              ("executed, writ-connect-null", "hr-bot")):
                agent = authority.agent(who)
                task = agent.open_task(ttl="8h")
                body = agent.request_body(
                    task, "AddToGroup", harness.group("lunch-list"),
                    f"uid=l{{n}}-{size},{harness.STAFF}")
                figures = load(authority, agent, body, 16, seconds)
                tell({"leaves": size, "start_s": start_s,
                      "database_mib": database_mib(authority),
                      "resident_mib": memory_mib(authority)}, name, figures)


def has_ended(human, containment):
    points = human.get(f"/v1/containments/{containment}").ok()["points"]
    grants = [p for p in points if p["kind"] == "grant"]
    return grants and all(p["state"] == "ended" for p in grants)


def measure_containment(load):
    """Seconds until each of an agent's grants is read back as gone."""
    with null_authority() as authority:
        authority.found()
        bot = authority.agent("hr-bot")
        task = bot.open_task(ttl="8h")
        body = bot.request_body(task, "AddToGroup",
                                harness.group("lunch-list"),
                                f"uid=c{{n}},{harness.STAFF}")
        done = load(authority, bot, body, 16, 60, requests=CONTAINED)
        ada = authority.human(authority.admin)
        began = time.monotonic()
        answer = ada.contain("agent", "hr-bot").ok()
        answered = time.monotonic() - began
        wait_until(lambda: has_ended(ada, answer["id"]),
                   "every grant to end", patience=120)
        return {"grants": done["status"].get("200", 0), "answer_s": answered,
                "confirmed_s": time.monotonic() - began}
