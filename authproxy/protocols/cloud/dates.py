"""Dates in headers (RFC 2822 §3.3, RFC 9110 §5.6.7) and how long a service asks us to wait (§10.2.3). No clock."""

from __future__ import annotations

from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache


class MalformedDate(ValueError):
    """Not a date that can be placed in time."""


def write_date(now: float) -> str:
    """The header value for `now`, in Unix seconds; fractions are dropped."""
    return _written(int(now))


@lru_cache(maxsize=4)
def _written(second: int) -> str:
    return formatdate(second)


def read_date(text: str) -> float:
    """The date in Unix seconds. Raises MalformedDate."""
    try:
        date = parsedate_to_datetime(text)
        # RFC 5322 §3.3: -0000 is universal time, too, and says nothing of a zone. To Python that is no zone at all,
        # and it would take this machine's.
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        raise MalformedDate(f"no date: {text[:64]!r}") from None


def read_retry_after(text: str, now: float) -> float | None:
    """Seconds to wait, never negative; None if the header says nothing usable. `now`: Unix seconds."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 9 else None
    try:
        return max(0.0, read_date(text) - now)
    except MalformedDate:
        return None
