"""An LDAP section: turns binds into logins, and holds what its sessions need."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import field
from typing import Any

from authproxy.listeners.ldap.attempt import Attempt
from authproxy.listeners.ldap.ports import Identities, Logins, Rejecter, Upstreams
from authproxy.listeners.tls import ServerTls
from authproxy.pipeline.approvals import SectionApprovals
from authproxy.pipeline.credential import AppendMode
from authproxy.pipeline.decision import Reason, Reject
from authproxy.pipeline.logins import Answer
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import MalformedUsername, Username, read_username
from authproxy.pipeline.workload import Workload
from authproxy.secret import Secret
from authproxy.values import light_dataclass

# Octets of a bind name. Directories know no limit; the longest DNs that are used are some hundred.
MOST_NAME = 2048

UNREADABLE = Username("", "")


@light_dataclass(frozen=True, slots=True)
class Limits:
    """Octets, counts and seconds, for one client's connection unless stated otherwise."""

    message: int = 262_144  # before a bind; slapd's numbers
    message_bound: int = 4 * 1024 * 1024
    operations: int = 100  # in progress or waiting, before a bind
    operations_bound: int = 1000
    connections: int = 4096  # of all clients
    connections_per_client: int = 100
    first: float = 10  # until the first message is there, TLS included
    message_time: float = 30  # until a message that has begun is whole
    idle_unbound: float = 60
    idle: float = 3600
    network: float = 600  # until the directory says anything on an operation; 0: for ever
    stalled: float = 60  # that a client may leave what it asked for unread
    pending: int = 4096  # binds being decided


@light_dataclass(frozen=True, slots=True)
class Options:
    """The section's options that its sessions need."""

    append: AppendMode = field(default_factory=AppendMode)
    patience: float = 65  # seconds until a login is given up
    bind_timeout: float = 10  # seconds for the directory's answer to a bind, or a new connection to it
    require_tls: bool = False
    allow_anonymous: bool = False
    exempt_primary_bind: bool = False
    allow_searches_after_bind: bool = True


class LdapSection:
    """Simple binds of one section."""

    def __init__(
        self,
        *,
        name: str,
        options: Options,
        limits: Limits,
        logins: Logins,
        rejecter: Rejecter,
        upstreams: Upstreams,
        identities: Identities,
        tls: ServerTls | None,
        approvals: SectionApprovals,
        workload: Workload | None = None,
        new_login: Callable[[], str] = lambda: os.urandom(8).hex(),
    ) -> None:
        """`tls` None: neither StartTLS nor LDAPS."""
        self.name = name
        self.options = options
        self.limits = limits
        self.upstreams = upstreams
        self.identities = identities
        self.tls = tls
        self.approvals = approvals
        self._logins = logins
        self._rejecter = rejecter
        self._new_login = new_login
        self._workload = Workload() if workload is None else workload
        self._pending = 0

    def ask(
        self, attempt: Attempt, address: str, now: float, answer: Answer
    ) -> Coroutine[Any, Any, None] | None:
        """Begin a login, or answer at once. Returns the work to run, None when there is none."""
        bind = attempt.bind
        try:
            username = read_username(bind.name.encode("utf-8"), MOST_NAME)
        except MalformedUsername:
            answer(self._reject(attempt, UNREADABLE, address, now, Reason.MALFORMED, "username"))
            return None
        if b"\0" in attempt.password.reveal():
            answer(self._reject(attempt, username, address, now, Reason.MALFORMED, "nul_in_password"))
            return None
        # A1: new work is shed first, with an answer, because LDAP's clients don't ask again by themselves.
        if self._pending >= self.limits.pending or self._workload.is_full:
            answer(self._reject(attempt, username, address, now, Reason.OVERLOADED, ""))
            return None
        self._pending += 1

        def answered(decision: Any) -> None:
            self._pending -= 1
            answer(decision)

        request = self._request(attempt, username, attempt.password, address, now)
        return self._logins.submit(request, answered)

    def _reject(
        self, attempt: Attempt, username: Username, address: str, now: float, reason: Reason, cause: str
    ) -> Reject:
        return self._rejecter.reject(
            self._request(attempt, username, Secret(b""), address, now), reason, cause
        )

    def _request(
        self, attempt: Attempt, username: Username, password: Secret, address: str, now: float
    ) -> AuthRequest:
        # A first bind that is exempt must not be joined by one that isn't (L10).
        first = b"\0first" if self.options.exempt_primary_bind and attempt.first else b""
        return AuthRequest(
            login=self._new_login(),
            section=self.name,
            username=username,
            password=password,
            client=address,
            nas_ip=address,
            received=now,
            deadline=now + self.options.patience,
            client_ip=address,
            calling_station=address.encode() + first,
            can_challenge=False,
            carried=attempt,
        )
