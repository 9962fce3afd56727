"""Limits on wrong passwords from one station or one client, for all users together: token buckets (A10). No clock.

Attempts that are decided only after later ones were let in still count: a bucket can be in debt, and then takes longer
to fill.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from authproxy.pipeline.request import AuthRequest
from authproxy.values import light_dataclass

_MOST_BUCKETS = 65_536
_MOST_DEBT = 10  # times the bucket

# Which limit (`station` or `client`), whose, the section.
Alert = Callable[[str, str, str], None]


@light_dataclass(frozen=True, slots=True)
class FailureRules:
    """`station`, `client`: how many wrong passwords at once, and again in each `window` seconds. 0: no limit."""

    station: int = 0
    client: int = 0
    window: float = 600


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float
    told: bool = False


class FailureLimit:
    """The buckets of the whole process."""

    def __init__(self, alert: Alert = lambda which, whose, section: None) -> None:
        self._alert = alert
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def refuses(self, request: AuthRequest, rules: FailureRules, now: float) -> str:
        """'' if this attempt may be made, else the name of the limit that it exceeds."""
        for which, whose, most in _limits(request, rules):
            bucket = self._buckets.get((which, whose))
            if bucket is not None and self._refilled(bucket, most, rules, now) < 1:
                if not bucket.told:
                    bucket.told = True
                    self._alert(which, whose, request.section)
                return f"{which}_failures"
        return ""

    def failed(self, request: AuthRequest, rules: FailureRules, now: float) -> None:
        for which, whose, most in _limits(request, rules):
            bucket = self._buckets.setdefault((which, whose), _Bucket(most, now))
            self._buckets.move_to_end((which, whose))
            left = self._refilled(bucket, most, rules, now) - 1
            bucket.left = max(left, -_MOST_DEBT * most)
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)

    @staticmethod
    def _refilled(bucket: _Bucket, most: int, rules: FailureRules, now: float) -> float:
        bucket.left = min(most, bucket.left + (now - bucket.at) * most / rules.window)
        bucket.at = now
        if bucket.left >= most:
            bucket.told = False
        return bucket.left


def _limits(request: AuthRequest, rules: FailureRules) -> list[tuple[str, str, int]]:
    limits = []
    if rules.station and request.calling_station:
        limits.append(("station", request.calling_station.decode("utf-8", "backslashreplace"), rules.station))
    if rules.client:
        limits.append(("client", f"{request.section}/{request.client}", rules.client))
    return limits


@light_dataclass(frozen=True, slots=True)
class Failures:
    """The limits of one section."""

    limit: FailureLimit = field(default_factory=FailureLimit)
    rules: FailureRules = field(default_factory=FailureRules)

    def refuses(self, request: AuthRequest, now: float) -> str:
        if not self.rules.station and not self.rules.client:
            return ""  # as in most sections
        return self.limit.refuses(request, self.rules, now)

    def failed(self, request: AuthRequest, now: float) -> None:
        self.limit.failed(request, self.rules, now)
