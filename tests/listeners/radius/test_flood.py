"""R13, A14: however many packets, few lines; and how many there were is said."""

from __future__ import annotations

from twisted.internet.task import Clock

from authproxy.listeners.radius.flood import FloodProofLog

from .world import Log


class Desk:
    def __init__(self) -> None:
        self.clock = Clock()
        self.log = Log()
        self.flood = FloodProofLog(self.log, self.clock)

    def discard(self, source: str, cause: str = "unknown_client", times: int = 1) -> None:
        for _ in range(times):
            self.flood.warn("radius.discarded", cause=cause, source=source)

    def lines(self) -> list[tuple[str, object, object]]:
        found = [(event, fields.get("source"), fields.get("count")) for _, event, fields in self.log.lines]
        self.log.lines.clear()
        return found


def test_one_source() -> None:
    """Once at once, then a count a minute while it goes on, then nothing."""
    desk = Desk()
    desk.discard("192.0.2.1", times=1000)
    assert desk.lines() == [("radius.discarded", "192.0.2.1", None)]
    desk.clock.advance(60)
    assert desk.lines() == [("radius.repeated", "192.0.2.1", 999)]
    desk.discard("192.0.2.1", times=500)
    desk.clock.advance(60)
    assert desk.lines() == [("radius.repeated", "192.0.2.1", 500)]
    desk.clock.advance(60)
    assert desk.lines() == []
    assert desk.clock.getDelayedCalls() == []
    desk.discard("192.0.2.1")
    assert desk.lines() == [("radius.discarded", "192.0.2.1", None)]


def test_made_up_sources() -> None:
    """R13: at most 20 lines for 100,000 packets, also across two intervals; and nothing grows."""
    desk = Desk()
    for number in range(100_000):
        desk.discard(f"192.0.{number >> 8 & 255}.{number & 255}")
        if number == 50_000:
            desk.clock.advance(60)
    desk.clock.advance(60)
    assert len(desk.flood._repeated) <= 5
    lines = desk.lines()
    assert len(lines) <= 20
    counted = [count for _, _, count in lines if isinstance(count, int)]
    assert sum(counted) + len(lines) - len(counted) == 100_000


def test_a_flood_of_one_cause_hides_no_other() -> None:
    """What an administrator may act on is said, whatever strangers send."""
    desk = Desk()
    for number in range(1000):
        desk.discard(f"192.0.2.{number}")
    desk.discard("10.1.0.1", "message_authenticator")
    assert desk.lines()[-1] == ("radius.discarded", "10.1.0.1", None)


def test_clients_are_told_apart_where_no_source_is_said() -> None:
    desk = Desk()
    for client in ("asa", "forti", "asa"):
        desk.flood.warn("radius.username_refused", client=client)
    assert [fields["client"] for _, _, fields in desk.log.lines] == ["asa", "forti"]


def test_failures_of_one_kind() -> None:
    desk = Desk()
    for number in range(100):
        desk.flood.failure("radius.failed", KeyError("x") if number % 2 else ValueError("y"))
    assert [type(fields["error"]) for _, _, fields in desk.log.lines] == [ValueError, KeyError]


def test_the_rest_goes_through() -> None:
    desk = Desk()
    for _ in range(3):
        desk.flood.debug("a")
        desk.flood.info("b")
        desk.flood.error("c")
    assert desk.log.events() == ["a", "b", "c"] * 3
    assert desk.clock.getDelayedCalls() == []
