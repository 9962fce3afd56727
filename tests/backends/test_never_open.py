"""Who never passes without a second factor (F7)."""

from __future__ import annotations

import pytest

from authproxy.backends.never_open import NeverGroups, NeverUsers, SeenWithin
from authproxy.backends.seen_users import SeenUsers
from authproxy.observe.log import NullLog
from authproxy.pipeline.ports import (
    CloudFailure,
    FailureClass,
    PrimaryUnavailable,
    Refused,
    Verified,
)
from tests.pipeline.fakes import request, run

DOWN = CloudFailure(FailureClass.UNREACHABLE, "refused")
ALICE = Verified("alice", "uid=alice")


@pytest.mark.parametrize(
    ("listed", "typed", "confirmed", "expected"),
    [
        ("root", "root", "root", "never_user"),
        ("root", "alice", "root", "never_user"),  # an alias of the directory's
        ("root", "root", "alice", "never_user"),
        ("root", "corp\\root", "corp\\root", "never_user"),
        ("root", "root@corp.example", "root@corp.example", "never_user"),
        ("corp\\root", "root", "root", "never_user"),
        ("root@corp.example", "root", "root", "never_user"),
        ("root", "corp/root", "corp/root", "never_user"),  # with a RADIUS server that has realms
        ("root", "root%corp", "root%corp", "never_user"),
        (
            "root",
            "r\u00f6\u00f6t",
            "r\u00f6\u00f6t",
            "never_user",
        ),  # with one that is loose about accents (R33)
        ("root", "\uff32oot", "\uff52oot", "never_user"),
        ("r\u00f6\u00f6t", "root", "root", "never_user"),
        ("root", "alice", "alice", ""),
        ("root", "rooty", "rooty", ""),
        ("root", "alice@root", "alice@root", ""),
    ],
)
def test_users(listed: str, typed: str, confirmed: str, expected: str) -> None:
    gate = NeverUsers(frozenset({listed}))
    assert run(gate(request(username=typed), Verified(confirmed), DOWN)) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Verified("alice", "uid=alice"), ""),
        (Verified("alice", "uid=alice", frozenset({"cn=admins"})), "never_group"),
        (Refused("unknown_user"), "groups_unknown"),
        (PrimaryUnavailable("dc1: refused"), "groups_unknown"),
    ],
)
def test_groups(said: Verified | Refused | Exception, expected: str) -> None:
    """What the directory can't say keeps the door shut."""
    asked = []

    async def confirm(name: str, deadline: float) -> Verified | Refused:
        asked.append((name, deadline))
        if isinstance(said, Exception):
            raise said
        return said

    assert run(NeverGroups(confirm)(request(), ALICE, DOWN)) == expected
    assert asked == [("uid=alice", 100.0)], "the entry whose password was right, not the name that was typed"


def test_seen() -> None:
    seen = SeenUsers(None, key=b"k", log=NullLog(), wall_clock=lambda: 1e9)
    gate = SeenWithin(seen, "vpn", 30)
    assert run(gate(request(), ALICE, DOWN)) == "not_seen"
    seen.passed("other", "alice")
    assert run(gate(request(), ALICE, DOWN)) == "not_seen"
    seen.passed("vpn", "alice")
    assert run(gate(request(), ALICE, DOWN)) == ""
