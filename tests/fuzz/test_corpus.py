"""Every day: what was found once is not found again, and a few thousand changed inputs find nothing."""

from __future__ import annotations

import random

import pytest

from tests.fuzz import radius
from tests.fuzz.__main__ import main
from tests.fuzz.corpus import Seed, seeds
from tests.fuzz.mutate import mutated
from tests.fuzz.report import drive
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("seed", seeds("radius"), ids=lambda seed: seed.name)
def test_radius_seeds(seed: Seed) -> None:
    assert radius.target()(seed.octets) == seed.due


def test_radius() -> None:
    report = radius.run_count(3000, 1)
    assert report.findings == []
    assert report.inputs == 3000
    assert {"login", "attribute", "length", "message_authenticator", "code"} <= report.outcomes.keys()


def test_one_seed_is_one_run() -> None:
    first, second = (list(zip(range(500), radius.inputs(7), strict=False)) for _ in range(2))
    assert first == second


# ---- what finds has to find


def test_an_exception_is_a_finding() -> None:
    def one(octets: bytes) -> str:
        if octets == b"bad":
            raise ValueError("found")
        return "fine"

    report = drive("x", one, [b"good", b"bad", b"good"])
    assert [(finding.octets, finding.problem) for finding in report.findings] == [
        (b"bad", "ValueError: found")
    ]
    assert (report.inputs, report.outcomes) == (3, {"fine": 2})


def test_a_slow_input_is_a_finding() -> None:
    def one(octets: bytes) -> str:
        sum(range(2_000_000 if octets == b"slow" else 1))
        return "fine"

    report = drive("x", one, [b"quick", b"slow"])
    assert [finding.octets for finding in report.findings] == [b"slow"]
    assert report.slowest > 0.005


def test_five_findings_are_enough() -> None:
    def one(octets: bytes) -> str:
        raise ValueError

    report = drive("x", one, mutated([b"seed"], random.Random(1)), count=1000)
    assert (report.inputs, len(report.findings)) == (5, 5)


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(TARGETS):
        monkeypatch.setitem(
            TARGETS, name, lambda seconds, seed: drive("radius", lambda octets: "fine", [b"x"])
        )
    assert main(["--short", "--seed", "5"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("seed 5\nradius ")
    assert said.rstrip().endswith("ok")

    def broken(octets: bytes) -> str:
        raise KeyError("no")

    monkeypatch.setitem(TARGETS, "radius", lambda seconds, seed: drive("radius", broken, [b"\x01\x02"]))
    assert main(["radius"]) == 1
    assert "KeyError: 'no': 0102" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["nothing"])
