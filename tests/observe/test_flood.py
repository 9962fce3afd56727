"""R13, A14: a hundred thousand bad packets are twenty lines and a count."""

from __future__ import annotations

from authproxy.observe.flood import FloodGate, Suppressed
from authproxy.observe.lines import Severity


def flood(gate: FloodGate, now: float, count: int, event: str = "radius.discarded", **fields: object) -> int:
    return sum(gate.admits(now, Severity.WARN, event, fields) for _ in range(count))


def test_one_peer() -> None:
    gate = FloodGate()
    assert flood(gate, 0.0, 100_000, cause="unknown_client", source="192.0.2.9") == 5
    assert list(gate.over(59.9)) == []
    assert list(gate.over(60.0)) == [
        Suppressed("radius.discarded", "unknown_client", 99_995, 60, "192.0.2.9"),
    ]
    assert list(gate.over(61.0)) == []
    assert flood(gate, 61.0, 10, cause="unknown_client", source="192.0.2.9") == 5


def test_many_peers_and_bounded_memory() -> None:
    gate = FloodGate()
    lines = sum(
        gate.admits(
            0.0, Severity.WARN, "radius.discarded", {"cause": "unknown_client", "source": f"peer {n}"}
        )
        for n in range(10_000)
    )
    assert lines == 20
    (window,) = gate._windows.values()
    assert len(window.by_peer) <= 257
    assert next(gate.over(100.0)).count == 9_980


def test_others_keep_their_say() -> None:
    gate = FloodGate()
    flood(gate, 0.0, 1000, cause="unknown_client", source="192.0.2.9")
    assert flood(gate, 0.0, 1, cause="unknown_client", source="192.0.2.10") == 1
    assert flood(gate, 0.0, 1, cause="message_authenticator", source="192.0.2.9") == 1
    assert flood(gate, 0.0, 1, "directory.host_failed", host="dc1") == 1


def test_made_up_causes_share_a_window() -> None:
    gate = FloodGate()
    lines = sum(flood(gate, 0.0, 1, cause=f"cause {n}") for n in range(10_000))
    assert len(gate._windows) <= 257
    assert lines <= 256 + 20


def test_debug_is_not_limited_and_a_clock_may_step_back() -> None:
    gate = FloodGate()
    assert all(gate.admits(0.0, Severity.DEBUG, "x", {}) for _ in range(10_000))
    flood(gate, 1000.0, 100, source="a")
    assert [window.count for window in gate.over(10.0)] == [95]
