"""What an approval counts for once more, and everything that ends it (L12, L19)."""

from __future__ import annotations

from typing import Any

import pytest

from authproxy.pipeline.approvals import LONGEST_MEMORY, Approvals, SectionApprovals
from authproxy.pipeline.ports import Verified
from authproxy.secret import Secret

from .fakes import request

ALICE = Verified("alice", "uid=alice")
RIGHT = Secret(b"right")


def asked(**changes: Any) -> Any:
    return request(**{"calling_station": b"192.0.2.1", **changes})


@pytest.fixture
def store() -> Approvals:
    return Approvals(b"k")


@pytest.fixture
def section(store: Approvals) -> SectionApprovals:
    section = store.of_section(30)
    section.remember(asked(), ALICE, RIGHT, 100.0)
    return section


@pytest.mark.parametrize(("now", "counts"), [(100.0, True), (129.9, True), (130.0, False), (1000.0, False)])
def test_for_a_moment(section: SectionApprovals, now: float, counts: bool) -> None:
    assert section.recall(asked(), ALICE, RIGHT, now) is counts


def test_it_is_not_prolonged_by_being_used(section: SectionApprovals) -> None:
    assert section.recall(asked(), ALICE, RIGHT, 125.0)
    assert not section.recall(asked(), ALICE, RIGHT, 135.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"password": b"right,123456"},
        {"username": "bob"},
        {"username": "alice@example.test"},
        {"client": "other"},
        {"calling_station": b"192.0.2.2"},
    ],
)
def test_only_for_the_same_login(section: SectionApprovals, changes: dict[str, Any]) -> None:
    assert not section.recall(asked(**changes), ALICE, RIGHT, 101.0)


@pytest.mark.parametrize("entry", [Verified("bob", "uid=alice"), Verified("alice", "uid=alice,ou=other")])
def test_only_for_the_same_entry(section: SectionApprovals, entry: Verified) -> None:
    assert not section.recall(asked(), entry, RIGHT, 101.0)


def test_no_other_section_sees_it(store: Approvals, section: SectionApprovals) -> None:
    """Nor the same one after a reload."""
    assert not store.of_section(30).recall(asked(), ALICE, RIGHT, 101.0)


def test_nor_does_who_waits_while_the_reload_comes(section: SectionApprovals) -> None:
    section.end()
    assert not section.recall(asked(), ALICE, RIGHT, 101.0)


def test_a_change_of_passwords_is_told_by_who_connected_before_a_reload(
    store: Approvals, section: SectionApprovals
) -> None:
    section.end()
    assert section.kept, "or nobody would look for one"
    later = store.of_section(30)
    later.remember(asked(), ALICE, RIGHT, 100.0)
    section.forget_all()
    assert not later.recall(asked(), ALICE, RIGHT, 101.0)


def test_another_password_that_is_right_ends_it(section: SectionApprovals) -> None:
    """It was changed, and what was approved with the old one counts no more, even if that comes back."""
    assert not section.recall(asked(password=b"new"), ALICE, Secret(b"new"), 101.0)
    assert not section.recall(asked(), ALICE, RIGHT, 102.0)


def test_the_same_password_from_elsewhere_ends_nothing(section: SectionApprovals) -> None:
    other = asked(calling_station=b"192.0.2.2")
    assert not section.recall(other, ALICE, RIGHT, 101.0)
    section.remember(other, ALICE, RIGHT, 101.0)
    assert section.recall(asked(), ALICE, RIGHT, 102.0)


@pytest.mark.parametrize("name", ["alice", "alice@corp"])
def test_a_refusal_ends_it_in_every_section(store: Approvals, name: str) -> None:
    section = store.of_section(30)
    typed = asked(username="alice@corp")
    section.remember(typed, ALICE, RIGHT, 100.0)
    store.of_section(0).forget_user(name)
    assert not section.recall(typed, ALICE, RIGHT, 101.0)
    assert len(store) == 0


def test_somebody_else_s_refusal_does_not(section: SectionApprovals) -> None:
    section.forget_user("bob")
    assert section.recall(asked(), ALICE, RIGHT, 101.0)


def test_a_change_of_passwords_ends_every_section_s(store: Approvals, section: SectionApprovals) -> None:
    """Also what was approved since a reload that the changing connection hasn't noticed."""
    other = store.of_section(30)
    other.remember(asked(), ALICE, RIGHT, 100.0)
    section.forget_all()
    assert not section.recall(asked(), ALICE, RIGHT, 101.0)
    assert not other.recall(asked(), ALICE, RIGHT, 101.0)
    other.remember(asked(), ALICE, RIGHT, 102.0)
    assert other.recall(asked(), ALICE, RIGHT, 103.0)


def test_off(store: Approvals) -> None:
    section = store.of_section(0)
    section.remember(asked(), ALICE, RIGHT, 100.0)
    assert not section.kept
    assert not section.recall(asked(), ALICE, RIGHT, 100.0)
    assert len(store) == 0


def test_bounded() -> None:
    store = Approvals(b"k", most=10)
    section = store.of_section(LONGEST_MEMORY)
    users = [(asked(username=f"u{number}"), Verified(f"u{number}", f"uid=u{number}")) for number in range(50)]
    for who, verified in users:
        section.remember(who, verified, RIGHT, 100.0)
    assert len(store) == 10
    assert [section.recall(who, verified, RIGHT, 101.0) for who, verified in users] == [False] * 40 + [
        True
    ] * 10
    section.remember(asked(), ALICE, RIGHT, 100.0 + LONGEST_MEMORY)
    assert len(store) == 1, "what is over goes"


def test_no_password_lies_in_it(store: Approvals, section: SectionApprovals) -> None:
    assert "right" not in repr(vars(store))
