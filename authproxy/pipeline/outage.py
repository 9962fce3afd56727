"""What happens to a login for which the cloud gives no verdict, before a factor was asked for (the contract, section
8).
"""

from __future__ import annotations

from authproxy.pipeline.decision import Accept, Decision, Reason, Reject, Silence
from authproxy.pipeline.fail_mode import UNAVAILABLE, FailMode, MayBeSilent, MayOpen, before_factor
from authproxy.pipeline.policy import Policy
from authproxy.pipeline.ports import CloudFailure, OpenDoor, Verified
from authproxy.pipeline.present import Present
from authproxy.pipeline.record import Facts
from authproxy.pipeline.request import AuthRequest


class Outage:
    """The rule of one section."""

    def __init__(self, policy: Policy, door: OpenDoor, present: Present) -> None:
        self._policy = policy
        self._door = door
        self._present = present

    async def behind(
        self, request: AuthRequest, verified: Verified, facts: Facts, failure: CloudFailure
    ) -> Decision:
        """After a verified password. The only place where a login may pass without the cloud's verdict (F4)."""
        facts.cause, facts.detail = failure.failure.value, failure.detail
        match before_factor(self._policy.fail_mode, failure):
            case Reject(reason) as closed:
                facts.why = "secure" if reason is Reason.FAIL_CLOSED else ""
                return closed
            case MayBeSilent():
                return await self._silent(request, facts, failure)
            case MayOpen():
                shut = await self._present.may_open(request, verified, failure)
        if shut:
            facts.why = shut
            return Reject(Reason.FAIL_CLOSED, UNAVAILABLE)
        if facts.factor is not None:
            facts.detail = f"{failure.detail}; {facts.factor} was typed and went unchecked"
        return Accept(Reason.FAIL_OPEN, carried=verified.carried, mark=self._present.mark)

    async def primary_only(
        self, request: AuthRequest, verified: Verified, facts: Facts, factor: str | None
    ) -> Accept | None:
        """After a verified password, in a safe section, while primary-only is on. None: ask the cloud as usual.

        `factor`: the name of the factor that was typed behind the password.
        """
        safe = self._policy.fail_mode is FailMode.SAFE
        if not safe or not await self._present.primary_only(request, verified):
            return None
        if factor is not None:
            facts.factor, facts.detail = factor, f"{factor} was typed and went unchecked"
        return Accept(Reason.PRIMARY_ONLY, carried=verified.carried, mark=self._present.mark)

    async def alone(self, request: AuthRequest, facts: Facts, failure: CloudFailure) -> Decision:
        """In a section without a password: no outage lets anyone in, whatever the mode (F3)."""
        facts.cause, facts.detail = failure.failure.value, failure.detail
        mode = self._policy.fail_mode
        match before_factor(mode if mode is FailMode.SILENT else FailMode.SECURE, failure):
            case MayBeSilent():
                return await self._silent(request, facts, failure)
            case Reject(Reason.FAIL_CLOSED) as closed:
                facts.why = "no_primary"
                return closed
            case Reject() as refused:
                return refused
            case MayOpen():
                raise AssertionError("only a safe section may open")

    async def _silent(self, request: AuthRequest, facts: Facts, failure: CloudFailure) -> Decision:
        """F6: a login whose failure is its own must not make a NAS take this server for dead."""
        if disagrees := await self._door.is_outage(request, failure):
            facts.why = disagrees
            return Reject(Reason.FAIL_CLOSED, UNAVAILABLE)
        facts.why = "silent"
        return Silence(Reason.FAIL_CLOSED)
