"""One login, one push: a repeated request joins the login that is waiting, and gets its answer (R46, R47, L19).

A login is recognised by section, canonical user, keyed hash of the password, calling station and the challenge that it
answers, not by packet, source address or port. So a NAS that fails over, and an application that binds twice, join it
too. Everything else that the answer may depend on has to be the same: the user's address, for which the cloud has
rules, the attributes of the NAS's request that a RADIUS server is shown, and the section's rules themselves.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

from authproxy.pipeline.decision import Decision, Reason, Reject
from authproxy.pipeline.ports import Clock
from authproxy.pipeline.request import AuthRequest

Answer = Callable[[Decision], None]

# What a user did to a push, rather than what they typed: asking again at once would only push again (R47).
_USERS_NO = frozenset({Reason.FACTOR_DENIED, Reason.FRAUD})
# Seconds for which nobody is asked again after a push that went unanswered. An automatic retry is here by then; who
# found the phone too late and types the password again is not refused for that.
_SILENCE = 5.0
_MOST_REMEMBERED = 16_384
_BROKEN = Reject(Reason.INTERNAL)
_DIGEST = 32  # octets
_HEAD = struct.Struct("!7I2?")


class Authenticator(Protocol):
    def begin(self) -> None:
        """A login begins that `authenticate` will decide; `end` follows in any case."""

    def end(self) -> None: ...

    async def authenticate(self, request: AuthRequest) -> Decision: ...

    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject: ...


class Failed(Protocol):
    def __call__(self, request: AuthRequest, error: Exception) -> None:
        """Log our bug."""


@dataclass(slots=True)
class _Attempt:
    request: AuthRequest
    answers: list[Answer]


class Logins:
    """The logins of one section that are waiting, and those that were just denied."""

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        key: bytes,
        denial_memory: float,
        clock: Clock,
        failed: Failed,
        joined: Callable[[AuthRequest, AuthRequest], None],
    ) -> None:
        """`key`: random octets for the hash, up to 64. `denial_memory`: seconds. `joined(newcomer, waiting)` is called
        for each join.
        """
        self._authenticator = authenticator
        self._key = key
        self._denial_memory = denial_memory
        self._clock = clock
        self._failed = failed
        self._joined = joined
        self._rules = 0  # which they go by; another number for each that are others
        self._waiting: dict[tuple[int, bytes], _Attempt] = {}
        self._denied: OrderedDict[bytes, tuple[float, Reject]] = OrderedDict()

    def use(self, authenticator: Authenticator, denial_memory: float, *, same: bool) -> None:
        """Use this authenticator for new logins. Those that are waiting keep the one they began with (A13).

        `same`: by the same rules. Otherwise nothing joins those that are waiting: by now, other users may be let in, or
        with fewer rights.
        """
        self._rules += not same
        self._authenticator = authenticator
        self._denial_memory = denial_memory

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting(self) -> list[AuthRequest]:
        return [attempt.request for attempt in self._waiting.values()]

    def submit(self, request: AuthRequest, answer: Answer) -> Coroutine[Any, Any, None] | None:
        """Take a login in. `answer` is called once. Returns the work to run; None: it joined another, or is decided."""
        identity = self._identify(request)
        known = (self._rules, identity)
        if (attempt := self._waiting.get(known)) is not None:
            attempt.answers.append(answer)
            self._joined(request, attempt.request)
            return None
        if (denied := self._recent_denial(identity)) is not None:
            answer(self._authenticator.reject(request, denied.reason, "repeated"))
            return None
        self._waiting[known] = attempt = _Attempt(request, [answer])
        return self._run(known, attempt, self._authenticator)

    async def _run(self, known: tuple[int, bytes], attempt: _Attempt, authenticator: Authenticator) -> None:
        decision: Decision = _BROKEN
        authenticator.begin()
        try:
            decision = await authenticator.authenticate(attempt.request)
        except Exception as error:  # noqa: BLE001 - the one catch-all: a bug rejects, and is told (A19)
            self._failed(attempt.request, error)
            authenticator.reject(attempt.request, Reason.INTERNAL, type(error).__name__)
        finally:
            # Also when the work is cancelled: nobody is left waiting.
            authenticator.end()
            del self._waiting[known]
            if isinstance(decision, Reject):
                self._remember(known[1], decision)
            for answer in attempt.answers:
                answer(decision)

    def _identify(self, request: AuthRequest) -> bytes:
        """Keyed, so that what lies in memory tells nobody a password."""
        state, password = request.state, request.password.reveal()
        station, shown = request.calling_station, request.shown
        section, user = request.section.encode(), request.username.canonical.encode()
        # A challenge is its client's (R39); a login that begins may come by another one.
        client = request.client.encode() if state else b""
        address = (request.client_ip or "").encode()
        # Each length but the last is in the head, so that no two logins are alike by where a part ends.
        head = _HEAD.pack(
            len(section),
            len(user),
            len(password),
            len(station),
            len(state),
            len(client),
            len(address),
            request.opaque,
            request.can_challenge,
        )
        parts = (head, section, user, password, station, state, client, address, shown)
        return blake2b(b"".join(parts), key=self._key, digest_size=_DIGEST).digest()

    def _recent_denial(self, identity: bytes) -> Reject | None:
        if (known := self._denied.get(identity)) is None:
            return None
        until, decision = known
        if self._clock() < until:
            return decision
        del self._denied[identity]
        return None

    def _remember(self, identity: bytes, decision: Reject) -> None:
        if decision.reason in _USERS_NO:
            memory = self._denial_memory
        elif decision.reason is Reason.FACTOR_TIMEOUT:
            memory = min(self._denial_memory, _SILENCE)
        else:
            return
        now = self._clock()
        self._denied[identity] = (now + memory, decision)
        self._denied.move_to_end(identity)
        while self._denied:
            oldest, (until, _) = next(iter(self._denied.items()))
            if len(self._denied) <= _MOST_REMEMBERED and now < until:
                return
            del self._denied[oldest]
