#!/usr/bin/python3
"""Measures a whole authority on this machine and prints figures with their
method: bench/run.py [--seconds N] [--json] [--large] [--lent].

--lent measures only what is lent: how fast credentials are issued and
introspected, and how soon they are gone after the end of their task.

--large adds what a large authority costs: memory with 10,000 agents and 100,000
open grants, requests on logs of 10^4 and 10^6 leaves (and of as many as
WRIT_BENCH_LEAVES says), containment of an agent with 1,000 grants.

The load generator shares the machine with what it measures; every figure
stands beside the machine's own fsync rate.  It talks to loopback alone and ends
by itself.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "integration"),
                str(HERE.parent / "integration" / "conformance")]

# pylint: disable=wrong-import-position
import harness
import lent
import scale
import slapd
from tokens import DROP

CONNECTIONS = (1, 16, 64)


def bench(name, *arguments):
    path = harness.BUILD / "tests" / "bench" / name
    done = subprocess.run([str(path), *map(str, arguments)], check=True,
                          capture_output=True)
    return done.stdout.decode()


def fsync_rate(folder):
    return json.loads(bench("bench_fsync", folder))


def request_body(authority, agent, task, resource, member):
    return agent.request_body(task, "AddToGroup", resource, member)


def load(authority, agent, body, connections, seconds, requests=1000000,
         path="/v1/requests", then=None, lines=None):
    """One run of the load generator; a token without jti may be sent often.

    agent: who proves itself by its token, or None.
    body: JSON, or the text of a form.
    """
    folder = authority.folder
    is_form = isinstance(body, str)
    (folder / "body").write_text(body if is_form else json.dumps(body))
    more = ["--form" if is_form else "--body", folder / "body"]
    if agent:
        (folder / "token").write_text(agent.token(jti=DROP))
        more += ["--token", folder / "token"]
    if then:
        more += ["--then", then]
    if lines:
        (folder / "lines").write_text("\n".join(lines))
        more += ["--lines", folder / "lines"]
    line = bench("bench_load", "--connections", connections, "--requests",
                 requests, "--seconds", seconds, *more,
                 f"127.0.0.1:{authority.port}", path)
    return json.loads(line)


def row(what, connections, figures):
    status = ", ".join(f"{n} x {code}"
                       for code, n in figures["status"].items())
    return {"what": what, "connections": connections,
            "per_second": round(figures["perSecond"]),
            "p50_ms": figures["p50Us"] / 1000,
            "p99_ms": figures["p99Us"] / 1000, "status": status}


def memory_kib(authority):
    text = pathlib.Path(f"/proc/{authority.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines()
                    if line.startswith("VmRSS")))


def measure_null(seconds, rows):
    with harness.Authority(bundle_options=("--bench",),
                           connector_changes={"memberships": None},
                           config_changes=scale.CONFIG) as authority:
        authority.found()
        idle = memory_kib(authority)
        bot = authority.agent("hr-bot")
        adviser = authority.agent("adviser")
        for name, agent in (("denied before planning", adviser),
                            ("executed, writ-connect-null", bot)):
            for connections in CONNECTIONS:
                task = agent.open_task(ttl="8h")
                body = agent.request_body(
                    task, "AddToGroup", harness.group("lunch-list"),
                    f"uid=p{{n}}-{connections},{harness.STAFF}")
                rows.append(row(name, connections,
                                load(authority, agent, body, connections,
                                     seconds)))
        return idle


def measure_requests(seconds, rows):
    policy = bench("bench_policy", harness.ROOT / "policy")
    idle = measure_null(seconds, rows)
    if slapd.AVAILABLE:
        measure_ldap(seconds, rows)
    return {"policy": policy, "idle_kib": idle}


def people_ldif(count):
    return "\n".join(
        f"dn: uid=bench{n},{harness.STAFF}\nobjectClass: inetOrgPerson\n"
        f"uid: bench{n}\ncn: Bench {n}\nsn: Bench\n" for n in range(1, count + 1))


def measure_ldap(seconds, rows):
    with harness.demo_directory() as directory:
        directory.add(people_ldif(5000))
        with harness.Authority(bundle_options=("--bench",),
                               directory=directory,
                               config_changes=scale.CONFIG) as authority:
            authority.found()
            bot = authority.agent("hr-bot")
            task = bot.open_task(ttl="8h")
            body = bot.request_body(task, "AddToGroup",
                                    harness.group("lunch-list"),
                                    f"uid=bench{{n}},{harness.STAFF}")
            rows.append(row("executed, slapd", 16,
                            load(authority, bot, body, 16, seconds,
                                 requests=4500)))


def measure_lent(seconds, rows):
    """What is lent: rows, and how long it takes to end."""
    for figures in (*lent.measure_keeper(bench, seconds),
                    *lent.measure_tokens(load, seconds),
                    *lent.measure_depth(load, seconds)):
        rows.append(row(*figures))
    return lent.measure_ends(load)


def measure_large(seconds):
    sizes = [10 ** 4, 10 ** 6]
    if os.environ.get("WRIT_BENCH_LEAVES"):
        sizes.append(int(os.environ["WRIT_BENCH_LEAVES"]))
    rows = []

    def tell(about, name, figures):
        rows.append({**row(name, 16, figures), **about})

    scale.measure_log(sizes, seconds, load, tell)
    return {"log": rows, "memory": scale.measure_memory(),
            "containment": scale.measure_containment(load)}


def show_large(large):
    print(f"\n{'leaves in the log':>17} {'start s':>8} {'file MiB':>9} "
          f"{'memory':>7} {'what':32} {'per s':>8} {'p50 ms':>8} {'p99 ms':>8}")
    for line in large["log"]:
        print(f"{line['leaves']:17,} {line['start_s']:8.1f} "
              f"{line['database_mib']:9,.0f} {line['resident_mib']:7.0f} "
              f"{line['what']:32} "
              f"{line['per_second']:8} {line['p50_ms']:8.2f} "
              f"{line['p99_ms']:8.2f}")
    memory, contained = large["memory"], large["containment"]
    print(f"memory with {memory['agents']:,} agents and {memory['grants']:,} "
          f"open grants: {memory['mib']:.0f} MiB resident; started in "
          f"{memory['start_s']:.1f} s")
    print(f"containment of an agent with {contained['grants']:,} grants: "
          f"answered after {contained['answer_s']:.2f} s, each read back as "
          f"gone after {contained['confirmed_s']:.2f} s")


def show(result):
    disk = result["fsync"]
    print(f"fsync (append + fdatasync): {disk['perSecond']:.0f}/s, "
          f"p50 {disk['p50Us']} us, p99 {disk['p99Us']} us; the machine's load "
          f"before: {result['load']:.1f}")
    if "policy" in result:
        print(result["policy"].rstrip())
        print(f"memory idle: {result['idle_kib'] / 1024:.1f} MiB resident\n")
    print(f"{'what':32} {'conns':>5} {'per s':>8} {'p50 ms':>8} {'p99 ms':>8}"
          "  answers")
    for line in result["rows"]:
        print(f"{line['what']:32} {line['connections']:5} "
              f"{line['per_second']:8} {line['p50_ms']:8.2f} "
              f"{line['p99_ms']:8.2f}  {line['status']}")
    print(f"\n{'ended, each confirmed':40} {'count':>6} {'s':>8}")
    for line in result["ends"]:
        print(f"{line['what']:40} {line['count']:6} "
              f"{line['confirmed_s']:8.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--lent", action="store_true")
    options = parser.parse_args()
    rows = []
    result = {"rows": rows, "load": os.getloadavg()[0],
              "fsync": fsync_rate(".")}
    if not options.lent:
        result.update(measure_requests(options.seconds, rows))
    result["ends"] = measure_lent(options.seconds, rows)
    if options.large:
        result["large"] = measure_large(options.seconds)
    if options.json:
        print(json.dumps(result))
        return
    show(result)
    if options.large:
        show_large(result["large"])


if __name__ == "__main__":
    main()
