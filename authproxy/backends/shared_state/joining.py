"""Logins that wait for a prompt at another node: how its verdict comes over, and for which question it counts (H6).

A verdict is sealed for one question, which a node puts when a login of its own joins. So none that was given before, to
another question or on another login, counts, whoever brings it. Who waits is looked after together: one look into the
node's inbox serves all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from authproxy.backends.shared_state import scripts
from authproxy.backends.shared_state.link import Link, Unreachable
from authproxy.observe.log import Log
from authproxy.pipeline.nodes import Verdict
from authproxy.pipeline.ports import FactorAllow, FactorDeny
from authproxy.protocols.shared_state import Claim, NodeKeys

_LOOK = 0.3  # seconds between looks into the inbox
_WATCH = 3  # looks between those at the claims
# Between a prompt's end and its verdict in the inbox is a step of the network; a node that has died is gone each time.
_GONE = 2
_AT_ONCE = 200  # claims looked at by one command
_TOLD_FOR = 30.0  # seconds that a verdict waits in an inbox
_MOST_JOINED = 64
NONSENSE = "an answer that no node has written"


@dataclass(slots=True, eq=False)
class _Waiting:
    """`where`: the prompt's name in the store."""

    where: bytes
    claim: Claim
    came: Deferred[Verdict | None]
    gone: int = 0  # how often its prompt wasn't there any more


class Joins:
    """Both sides of it: who waits here, and whom this node has to tell."""

    def __init__(self, link: Link, keys: NodeKeys, node: bytes, *, reactor: Any, log: Log) -> None:
        self._link = link
        self._keys = keys
        self._node = node
        self._reactor = reactor
        self._log = log
        self._waiting: dict[bytes, _Waiting] = {}
        self._timer: Any = None
        self._looks = 0

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, where: bytes, other: Claim, lasts: int, deadline: float) -> Verdict | None:
        """The verdict on the other node's prompt; None: there is none. Raises Unreachable.

        `lasts`: milliseconds that it can take; `deadline`: the reactor's seconds.
        """
        token = self._keys.token()
        waiting = self._waiting[token] = _Waiting(where, other, Deferred())
        late = None
        try:
            joined = b" ".join((self._node, token))
            if not await self._link.run(
                scripts.JOIN, [where, self.names(other)], [other.encode(), joined, lasts]
            ):
                return None
            late = self._reactor.callLater(
                max(0.0, deadline - self._reactor.seconds()), _settle, waiting, None
            )
            self._tend()
            return await waiting.came
        finally:
            del self._waiting[token]
            if late is not None and late.active():
                late.cancel()

    async def tell(self, joined: list[object], claim: Claim, verdict: Verdict) -> None:
        """Who has joined this node's prompt. Raises Unreachable."""
        said = _packed(verdict)
        for each in joined[:_MOST_JOINED]:
            node, _, token = each.partition(b" ") if isinstance(each, bytes) else (b"", b"", b"")
            sealed = self._keys.seal(_place(token, claim), said)
            await self._link.run(
                scripts.TELL, [self._inbox(node)], [token + b" " + sealed, int(_TOLD_FOR * 1000)]
            )

    def names(self, claim: Claim) -> bytes:
        """Where it stands who has joined this prompt."""
        return self._keys.name("joins", claim.token)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---- looking after those who wait

    def _tend(self) -> None:
        if self._timer is None and self._waiting:
            self._timer = self._reactor.callLater(_LOOK, self._look)

    def _look(self) -> None:
        Deferred.fromCoroutine(self._looked()).addErrback(self._failed).addBoth(self._tend_again)

    def _tend_again(self, _: object) -> None:
        self._timer = None
        self._tend()

    async def _looked(self) -> None:
        self._looks += 1
        await self._collect()
        if self._looks % _WATCH == 0:
            await self._watch()

    async def _collect(self) -> None:
        """What has come. Raises Unreachable."""
        said = await self._link.run(scripts.COLLECT, [self._inbox(self._node)], [])
        if not isinstance(said, list):
            raise self._link.refused(NONSENSE)
        for message in said:
            token, _, sealed = message.partition(b" ") if isinstance(message, bytes) else (b"", b"", b"")
            if (waiting := self._waiting.get(token)) is None:
                continue  # nobody waits for it any more
            opened = self._keys.open(_place(token, waiting.claim), sealed)
            if opened is None:
                _settle(waiting, Unreachable(NONSENSE))
            else:
                _settle(waiting, _verdict_of(opened))

    async def _watch(self) -> None:
        """Whose prompt is gone, and left nothing: its node has died, or the cloud. Raises Unreachable."""
        everybody = list(self._waiting.values())
        for at in range(0, len(everybody), _AT_ONCE):
            some = everybody[at : at + _AT_ONCE]
            names = [name for each in some for name in (each.where, self._keys.name("node", each.claim.node))]
            gone = await self._link.run(scripts.WATCH, names, [each.claim.encode() for each in some])
            if not isinstance(gone, list):
                raise self._link.refused(NONSENSE)
            for number, each in enumerate(some, 1):
                each.gone = each.gone + 1 if number in gone else 0
                if each.gone >= _GONE:
                    _settle(each, None)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(Unreachable):
            self._log.failure("shared_state.failed", failure.value or RuntimeError("cancelled"))
        for waiting in list(self._waiting.values()):
            _settle(waiting, Unreachable(str(failure.value)))

    # ---- names

    def _inbox(self, node: bytes) -> bytes:
        return self._keys.name("inbox", node)


def _settle(waiting: _Waiting, came: Verdict | Unreachable | None) -> None:
    if waiting.came.called:
        return
    if isinstance(came, Unreachable):
        waiting.came.errback(came)
    else:
        waiting.came.callback(came)


def _place(token: bytes, claim: Claim) -> bytes:
    """What a verdict belongs to: one question about one login."""
    return b" ".join((b"verdict", token, claim.token, claim.login))


def status_of(verdict: Verdict) -> str:
    return verdict.status if isinstance(verdict, FactorDeny) else "allow"


def _packed(verdict: Verdict) -> bytes:
    said = {"status": status_of(verdict), "message": verdict.message, "txid": verdict.txid}
    return json.dumps(said).encode()


def _verdict_of(octets: bytes) -> Verdict:
    """A node of ours has sealed it, so it is what `_packed` makes."""
    said = json.loads(octets)
    if said["status"] == "allow":
        return FactorAllow(said["message"], said["txid"])
    return FactorDeny(said["status"], said["message"], said["txid"])
