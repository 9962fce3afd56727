"""One host of a directory: connections that search as the service account, others that people's passwords are tried on.

A connection that was bound as a person does nothing but bind as the next one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from twisted.internet.defer import DeferredLock, TimeoutError

from authproxy.backends.directory.binds import Binder, Credentials, Proof, Right, Wrong
from authproxy.backends.directory.connect import Connector, Unusable
from authproxy.backends.directory.connection import ConnectionFailed, LdapConnection
from authproxy.backends.directory.examine import examine
from authproxy.backends.directory.hosts import NoAnswer
from authproxy.backends.directory.ntlm import Account, PasswordNotText
from authproxy.backends.directory.pool import Pool
from authproxy.backends.directory.root import Root, read_root
from authproxy.backends.directory.settings import AuthType, DirectorySettings, Host, Transport
from authproxy.observe.log import Log
from authproxy.protocols.ldap.requests import NO_ATTRIBUTES, Scope, SearchRequest
from authproxy.protocols.ldap.result import ResultCode, code_name

T = TypeVar("T")

_PROBE_TIMEOUT = 5.0
# A service account whose password is wrong must not be tried until the domain locks it. Seconds, doubled each time.
_FIRST_HOLD, _LAST_HOLD = 30.0, 300.0
_DEAD = frozenset({ResultCode.BUSY, ResultCode.UNAVAILABLE})


class ServiceAccount:
    """The account that looks users up, and when to try it again after the directory has refused it."""

    def __init__(self, settings: DirectorySettings, *, reactor: Any, log: Log) -> None:
        self._section = settings.name
        self._reactor = reactor
        self._log = log
        self._lock = DeferredLock()
        self._proven = False
        self._held_until = float("-inf")
        self._hold = _FIRST_HOLD
        self.refused = ""  # why; empty: it isn't
        self.credentials = Credentials(
            settings.service_name,
            service_account(settings.service_name, settings.ntlm_domain),
            settings.service_password,
        )

    @asynccontextmanager
    async def turn(self, deadline: float) -> AsyncIterator[None]:
        """Until the account has been accepted once, allow one bind at a time, so that a wrong password isn't tried ten
        times at once.
        """
        if self._proven:
            yield
            return
        acquired = self._lock.acquire()
        left = max(0.0, deadline - self._reactor.seconds())
        acquired.addTimeout(left, self._reactor)
        try:
            await acquired
        except TimeoutError:
            raise ConnectionFailed("the first bind of the service account takes too long") from None
        try:
            yield
        finally:
            self._lock.release()

    def check(self) -> None:
        """Raises Unusable while the account mustn't be tried."""
        if self.refused and self._reactor.seconds() < self._held_until:
            raise Unusable(f"the service account was refused: {self.refused}")

    def accepted(self) -> None:
        self._proven = True
        self.refused, self._hold = "", _FIRST_HOLD

    def was_refused(self, cause: str) -> Unusable:
        """Note the refusal. Returns the exception to raise."""
        self._proven = False
        self.refused = cause
        self._held_until = self._reactor.seconds() + self._hold
        self._log.error(
            "directory.service_account_refused",
            section=self._section,
            account=self.credentials.name,
            cause=cause,
            next_try_in=self._hold,
            todo="compare service_account_username (or bind_dn) and service_account_password with the directory",
        )
        self._hold = min(2 * self._hold, _LAST_HOLD)
        return Unusable(f"the service account was refused: {cause}")


def service_account(name: str, domain: str) -> Account:
    """The account of a section. `DOMAIN\\user` and `user@domain` contain their domain."""
    own, backslash, user = name.partition("\\")
    if backslash:
        return Account(user, own)
    return Account(name, "" if "@" in name else domain)


class Server:
    """Deadlines are in the reactor's seconds."""

    def __init__(
        self,
        host: Host,
        settings: DirectorySettings,
        connector: Connector,
        service: ServiceAccount,
        *,
        reactor: Any,
    ) -> None:
        self.host = host
        self.root = Root()
        self._settings = settings
        self._connector = connector
        self._service = service
        self._reactor = reactor
        self._binder = Binder(settings.auth_type, settings.transport, settings.ntlm_workstation)
        # RFC 4422 §3.7: what was sealed for one account can't be bound as another.
        self._binds_once = settings.auth_type is AuthType.NTLM2 and settings.transport is Transport.CLEAR
        self._probe_timeout = min(settings.timeout, _PROBE_TIMEOUT)
        limits = settings.limits
        self._searching: Pool[LdapConnection] = Pool(
            self.open_service,
            size=limits.service_connections,
            waiting=limits.waiting,
            idle=limits.service_idle,
            age=limits.age,
            reactor=reactor,
        )
        self._proving: Pool[LdapConnection] = Pool(
            self.open,
            size=limits.user_connections,
            waiting=limits.waiting,
            idle=limits.user_idle,
            age=limits.age,
            reactor=reactor,
        )

    def __str__(self) -> str:
        return str(self.host)

    def close(self) -> None:
        self._searching.close()
        self._proving.close()

    def search(self, work: Callable[[LdapConnection], Awaitable[T]], deadline: float) -> Awaitable[T]:
        """What `work` returns for a connection that is bound as the service account.

        Raises ConnectionFailed, NoVerdict, Overloaded, Unusable.
        """
        return self._searching.use(work, deadline)

    def prove(self, credentials: Credentials, deadline: float) -> Awaitable[Proof]:
        """Try the password once. Raises as `search` does, and PasswordNotText."""

        def bind(connection: LdapConnection) -> Awaitable[Proof]:
            connection.single_use = self._binds_once
            return self._binder.bind(connection, credentials, self._name, deadline)

        return self._proving.use(bind, deadline)

    async def probe(self) -> None:
        """Whether it answers: TLS and the rootDSE, on a connection of its own, without a password. Raises NoAnswer."""
        deadline = self._reactor.seconds() + self._probe_timeout
        try:
            connection = await self.open(deadline)
            try:
                request = SearchRequest("", Scope.BASE, attributes=NO_ATTRIBUTES)
                found = await connection.search(request, deadline)
            finally:
                connection.unbind()
        except (ConnectionFailed, Unusable) as problem:
            raise NoAnswer(str(problem)) from None
        # It may well refuse to show anything: an answer is an answer.
        if found.result.code in _DEAD:
            raise NoAnswer(f"{code_name(found.result.code)} {found.result.diagnostic}".rstrip())

    async def examine(self, deadline: float) -> tuple[str, ...]:
        """What is doubtful about the service account's way to the users, tested on a connection of its own.

        Raises ConnectionFailed, NoVerdict, Unusable.
        """
        connection = await self.open_service(deadline)
        try:
            return await examine(connection, self.root, self._settings, deadline)
        finally:
            connection.unbind()

    async def open_service(self, deadline: float) -> LdapConnection:
        """A connection bound as the service account. Raises as `search` does, but never Overloaded."""
        async with self._service.turn(deadline):
            self._service.check()
            connection = await self.open(deadline)
            try:
                await self._bind_service(connection, deadline)
                self.root = await read_root(connection, deadline)
            except BaseException:
                connection.abort("left in the middle of the service bind")
                raise
        return connection

    async def _bind_service(self, connection: LdapConnection, deadline: float) -> None:
        try:
            proof = await self._binder.bind(connection, self._service.credentials, self._name, deadline)
        except PasswordNotText:
            raise self._service.was_refused("password_not_utf8") from None
        match proof:
            case Wrong(cause):
                raise self._service.was_refused(cause)
            case Right():
                self._service.accepted()

    async def open(self, deadline: float) -> LdapConnection:
        """A new connection on which nothing was sent; the caller has to close it."""
        return await self._connector.connect(self.host, deadline)

    @property
    def _name(self) -> str:
        return self.host.tls_name or self.host.address
