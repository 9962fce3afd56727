"""The prompts of one section: within the user's limit, and one for each login, whatever node it came by (A11, H6)."""

from __future__ import annotations

from dataclasses import field, replace

from authproxy.pipeline.nodes import Held, Nodes, Over, Prompt, Repeated, Verdict
from authproxy.pipeline.ports import Clock, FactorCall, FactorDeny, SecondFactor
from authproxy.pipeline.push_limit import PushLimit, PushRules
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import account
from authproxy.values import light_dataclass

_OVER = Over.OVER


@light_dataclass(frozen=True, slots=True)
class Prompts:
    """Sections with the same cloud account share their users; others don't.

    `confirmed`: a directory says what a user is called; else one user may have typed many forms of a name. `nodes`
    None: there is this one alone. `denial_memory`: seconds for which a denied login isn't asked again at other nodes.
    `application`: what the section is called at that account, whose policy goes by it.
    """

    limit: PushLimit = field(default_factory=PushLimit)
    rules: PushRules = field(default_factory=PushRules)
    account: str = ""
    confirmed: bool = True
    nodes: Nodes | None = None
    denial_memory: float = 0.0
    application: str = ""

    async def ask(
        self,
        request: AuthRequest,
        username: str,
        call: FactorCall,
        cloud: SecondFactor,
        clock: Clock,
        *,
        answered: bool = False,
    ) -> Verdict | Held | Repeated | Over:
        """Ask the cloud to prompt the user, within the limits. Raises CloudFailure, which says nothing about the user.

        `answered`: another node has taken this request's challenge, so there is only its prompt to wait for.
        """
        if answered and self.nodes is None:
            return _OVER
        if held := await self.begin(username, clock, request.deadline):
            return Held(held)
        status = ""
        try:
            if self.nodes is None:
                verdict: Verdict | Held | Repeated | Over = await cloud.auth(request, username, call)
            else:
                prompt = Prompt(
                    self._key(username),
                    self.nodes.identify(*self._login(request, username, call)),
                    username,
                    request.section,
                    self.rules,
                    self.denial_memory,
                    request.deadline,
                )
                verdict = await self.nodes.prompt(
                    prompt, None if answered else lambda: cloud.auth(request, username, call)
                )
            if isinstance(verdict, FactorDeny):
                status = verdict.status
            elif not isinstance(verdict, Held | Repeated | Over):
                status = "allow"
            return verdict
        finally:
            self.end(username, request.section, status, clock())

    async def begin(self, username: str, clock: Clock, deadline: float) -> str:
        """As PushLimit's."""
        return await self.limit.begin(self._key(username), clock, deadline)

    def end(self, username: str, section: str, status: str, now: float) -> None:
        """As PushLimit's."""
        rules = self.rules
        if self.nodes is not None and rules.most:
            rules = replace(rules, most=self.nodes.share(rules.most))
        self.limit.end(self._key(username), section, rules, status, now)

    def _key(self, username: str) -> str:
        return f"{username if self.confirmed else account(username)}\0{self.account}"

    def _login(self, request: AuthRequest, username: str, call: FactorCall) -> tuple[bytes, ...]:
        """R46: what two requests have in common that are one login, and everything that its answer may depend on."""
        return (
            # A section of this name may be another one at another node, whose configuration isn't ours.
            self.account.encode(),
            self.application.encode(),
            request.section.encode(),
            username.encode(),
            request.username.canonical.encode(),
            request.password.reveal(),
            request.calling_station,
            request.state,
            # A challenge is its client's (R39); a login that begins may come by another one.
            request.client.encode() if request.state else b"",
            (request.client_ip or "").encode(),
            b"opaque" if request.opaque else b"",
            request.shown,
            call.factor.encode(),
            call.device.encode(),
        )
