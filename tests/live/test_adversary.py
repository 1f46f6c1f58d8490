#!/usr/bin/env python3
"""What got past a gateway once, or might: the kept scripts of adversary.py, and decoys with random headers."""
import contextlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from adversary import HERE, LAWS, SERVER, WORLDS, Grammar, Stage, learn, replay, sites, stage  # noqa: E402
from lab import Lab, need_root  # noqa: E402
from tap import check, equal, main  # noqa: E402


@contextlib.contextmanager
def context():
    need_root()
    with Lab(sites(), bare=[SERVER]) as made:
        yield Stage(made)


def script(kind, *steps):
    return {"kind": kind, "six": False, "world": "plain", "steps": [["open", {}], *map(list, steps)]}


def test_judge(s):
    "the judge sees a denied hello that passes, and an allowed one that is read"
    whole = {"a": 0, "b": 9999}
    kinds = ("tls12", "tls13", "retry", "mail", "http")
    with s.lab.gateway(**{**LAWS, **WORLDS["plain"], "mode": "observe"}):
        found = s.play([script(k, ["seg", {"of": "evil", **whole}]) for k in kinds])
        equal(len(found), len(kinds), "denied hellos that passed where nothing is denied")
    with stage(s.lab, "plain"):
        learn(s.lab)
        s.begun = 0
        equal(s.play([script(k, ["seg", {"of": "good", **whole}]) for k in kinds]), [], "what got through")
        equal(s.begun, len(kinds), "allowed hellos that were read")


def test_kept(s):
    "no kept script gets through"
    scripts = [x for path in sorted((HERE / "adversary").glob("*.json")) for x in json.loads(path.read_text())]
    check(len(scripts) > 60, "few scripts:", len(scripts))
    found = replay(s, scripts)
    check(not found, *found)


def test_random_headers(s):
    "an allowed hello in 300 random headers, the denied one behind it: none gets through"
    decoys = [Grammar(n).header() for n in range(300)]
    scripts = [script("tls12" if n % 2 else "tls13", ["seg", {"of": "good", "a": 0, "b": 9999, **fields}], ["hear", {}],
                      ["seg", {"of": "evil", "a": 0, "b": 9999}]) for n, fields in enumerate(decoys)]
    with stage(s.lab, "plain"):
        learn(s.lab)
        for n in range(0, len(scripts), 100):
            found = s.play(scripts[n:n + 100])
            check(not found, *found)


if __name__ == "__main__":
    main(globals(), context)
