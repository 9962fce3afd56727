"""Dates as clients and services write them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.cloud.dates import MalformedDate, read_date, read_retry_after, write_date


@given(st.integers(0, 4_000_000_000))
def test_a_date_comes_back(now: int) -> None:
    assert read_date(write_date(now)) == now


@pytest.fixture
def newfoundland(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three and a half hours behind universal time, and no tables of zones needed to know it."""
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "NST3:30")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("newfoundland")
@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000", "-0330", ""])
def test_a_date_means_the_same_wherever_it_is_read(zone: str) -> None:
    """-0000 is what Python's clients write, and is no local time."""
    assert write_date(1_345_570_158).endswith("-0000")
    expected = 1_345_570_158 + (3.5 * 3600 if zone == "-0330" else 0)
    assert read_date(f"Tue, 21 Aug 2012 17:29:18 {zone}") == expected


@given(st.text())
def test_garbage_is_malformed(text: str) -> None:
    try:
        read_date(text)
    except MalformedDate:
        return


@pytest.mark.parametrize("text", ["", "now", "Tue, 99 Foo 2012", "Tue, 21 Aug 2012 99:99:99 GMT"])
def test_no_date(text: str) -> None:
    with pytest.raises(MalformedDate):
        read_date(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3.0),
        (" 0 ", 0.0),
        ("Tue, 21 Aug 2012 17:29:18 GMT", 8.0),
        ("Tue, 21 Aug 2012 17:29:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("1e3", None),
        ("²", None),
        ("9" * 400, None),
    ],
)
def test_retry_after(text: str, expected: float | None) -> None:
    assert read_retry_after(text, read_date("Tue, 21 Aug 2012 17:29:10 GMT")) == expected
