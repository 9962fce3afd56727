"""How many logins are worked on at once."""

from __future__ import annotations

from authproxy.pipeline.workload import Workload


def test_those_that_wait_for_their_users_leave_room() -> None:
    workload = Workload(most=2)
    workload.begin()
    assert not workload.is_full
    workload.begin()
    assert workload.is_full
    workload.wait()
    assert (workload.worked_on, workload.is_full) == (1, False)
    workload.go_on()
    assert workload.is_full
    workload.end()
    workload.end()
    assert workload.worked_on == 0
