"""What a section's configuration says now, for the logins that began under an earlier one (A13).

They end as they began where both factors are asked for; but nobody passes without one by what a reload has taken away,
and nobody at all whom the primary of now would not let in (F3).
"""

from __future__ import annotations

from authproxy.pipeline.fail_mode import FailMode, SlowCloud
from authproxy.pipeline.grants import Grants
from authproxy.pipeline.policy import Policy
from authproxy.pipeline.ports import CloudFailure, FailureClass, OpenDoor, Verified
from authproxy.pipeline.record import Facts
from authproxy.pipeline.request import AuthRequest
from authproxy.values import light_dataclass

RELOADED = "reloaded"  # the audit's word for what a reload has shut


@light_dataclass(frozen=True, slots=True, eq=False)
class _Now:
    policy: Policy
    door: OpenDoor


class Present:
    """One section's; it outlives reloads."""

    def __init__(self, policy: Policy, door: OpenDoor) -> None:
        self._now: _Now | None = _Now(policy, door)

    def use(self, policy: Policy, door: OpenDoor) -> None:
        """Go over to another configuration."""
        self._now = _Now(policy, door)

    def end(self) -> None:
        """The section is gone."""
        self._now = None

    @property
    def version(self) -> object:
        """Another one for each configuration."""
        return self._now

    @property
    def mark(self) -> object:
        """On whoever passes without a second factor."""
        return self._now.policy.mark if self._now is not None else None

    @property
    def grants(self) -> Grants:
        return self._now.policy.grants if self._now is not None else Grants()

    @property
    def checks_passwords(self) -> bool:
        return self._now is not None and self._now.policy.checks_passwords

    def exempts(self, request: AuthRequest, verified: Verified) -> bool:
        return self._now is not None and self._now.policy.is_exempt(request, verified)

    async def admits(self, facts: Facts, deadline: float) -> bool:
        """Whether the primary of now lets in who had the right password. Raises PrimaryUnavailable."""
        while (now := self._now) is not None:
            admission = now.policy.admission
            if admission is None or admission == facts.admitted_by:
                return True
            still = await admission.still(facts.admitted_by, facts.username, facts.dn, deadline)
            if not still or now is self._now:
                return still
        return True  # the section is gone, and nothing says that its users may not log in

    async def may_open(self, request: AuthRequest, verified: Verified, failure: CloudFailure) -> str:
        """As OpenDoor's: what the gates of now say, whose word still is that of now when it comes."""
        while (now := self._safe(failure)) is not None:
            shut = await now.door.may_open(request, verified, failure)
            if shut or now is self._now:
                return shut
        return RELOADED

    async def primary_only(self, request: AuthRequest, verified: Verified) -> bool:
        """As OpenDoor's."""
        while (now := self._safe(None)) is not None:
            ordered = await now.door.primary_only(request, verified)
            if not ordered or now is self._now:
                return ordered
        return False

    def _safe(self, failure: CloudFailure | None) -> _Now | None:
        now = self._now
        if now is None or now.policy.fail_mode is not FailMode.SAFE or not now.policy.checks_passwords:
            return None
        slow = failure is not None and failure.failure is FailureClass.SLOW
        return None if slow and now.policy.slow_cloud is not SlowCloud.FAILMODE else now
