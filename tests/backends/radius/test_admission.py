"""Whether RADIUS servers would still let in who had the right password before a reload (F3)."""

from __future__ import annotations

import pytest

from authproxy.backends.radius.admission import RadiusAdmission
from authproxy.pipeline.ports import Admission
from tests.pipeline.fakes import run

ONE, TWO = ("10.0.0.1", 1812), ("10.0.0.2", 1812)


def admission(*hosts: tuple[str, int]) -> RadiusAdmission:
    return RadiusAdmission(frozenset(hosts))


class Directory:
    async def still(self, earlier: Admission | None, username: str, dn: str, deadline: float) -> bool:
        raise AssertionError("it is the word of now that counts")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (admission(ONE), admission(TWO, ONE), True),
        (admission(ONE, TWO), admission(ONE), False),
        (admission(ONE), admission(("10.0.0.1", 1645)), False),
        (Directory(), admission(ONE), False),
        (None, admission(ONE), True),
    ],
)
def test_whose_word_it_was(before: Admission | None, now: RadiusAdmission, expected: bool) -> None:
    """A server that isn't asked any more may have been taken away for what it says."""
    assert run(now.still(before, "alice", "", 0.0)) is expected
