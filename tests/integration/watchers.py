"""Detectors, freezes, and manifests that tests change."""
import os

import harness
from harness import TARGET, moment


class Detector(harness.Human):
    """A detector with a key of its own."""

    def statement(self, kind, /, **members):
        base = {"type": f"{kind}/v1", "authority": self.authority.origin,
                "detector": self.name, "at": moment(),
                "nonce": os.urandom(16).hex()}
        return harness.canonical({**base, **{k: v for k, v in members.items()
                                             if v is not None}})

    def manifest(self, owner="carol", **more):
        return {"kind": "Detector", "metadata": {"name": self.name},
                "spec": {"owner": owner, "keys": [self.public_key],
                         "signals": ["anomaly"], "maxScore": 100, **more}}

    def send(self, form):
        return self.authority.call("POST", "/v1/signals", form)

    def signal(self, score, seconds=600, kind="anomaly", reason="", **members):
        """about: agent=NAME, task=ID or resource=ID."""
        about = {}
        for subject in ("agent", "task", "resource"):
            if subject in members:
                about = {"subject": subject, "name": members.pop(subject)}
                if subject == "resource":
                    about["target"] = TARGET
        return self.send(self.sign("signal", **{
            "kind": kind, "score": score, "reason": reason,
            "expires": moment(seconds), **about, **members}))

    def beat(self, **more):
        return self.send(self.sign("heartbeat", **more))


def enrol(authority, *names, **more):
    """Detectors that are enrolled, by two administrators."""
    made = [Detector(authority, name) for name in names]
    authority.apply([detector.manifest(**more) for detector in made])
    return made if len(made) > 1 else made[0]


def manifest(authority, kind, name, drop=(), **spec):
    """A manifest as it stands, with members of its spec replaced."""
    made = authority.inventory(kind, name).ok()
    made["spec"].update(spec)
    for member in drop:
        made["spec"].pop(member, None)
    return made


def change(authority, kind, name, drop=(), **spec):
    return authority.apply([manifest(authority, kind, name, drop, **spec)])


def freeze(authority, name="year-end", begin=-60, end=3600, **more):
    authority.apply([{
        "kind": "ChangeFreeze", "metadata": {"name": name},
        "spec": {"begin": moment(begin), "end": moment(end),
                 "reason": "the books are closed", **more}}])


def reasons(answer):
    """Ids of the policies that determined a denial."""
    request = answer.refused(403, "denied")["request"]
    return [row["id"] for row in request["decision"]["policies"]]


def of_kind(leaves, kind):
    return [leaf for leaf in leaves if leaf["kind"] == kind]
