"""What connections may take, so that something is left for what answers them (A8)."""

from __future__ import annotations

import resource

import pytest

from authproxy.listeners.descriptors import Descriptors, for_connections


@pytest.mark.parametrize(
    ("limit", "most"),
    [(16, 4), (64, 11), (1024, 779), (65_536, 52_388), (resource.RLIM_INFINITY, 1 << 30)],
)
def test_a_part_of_the_processs_limit(limit: int, most: int) -> None:
    assert for_connections(limit) == most


def test_taken_and_given_back() -> None:
    descriptors = Descriptors(5)
    assert [descriptors.take(2) for _ in range(3)] == [True, True, False]
    assert descriptors.take(1)
    descriptors.give_back(2)
    assert descriptors.taken == 3
    assert descriptors.take(2)
