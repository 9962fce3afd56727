"""The primary that asks a directory: find the user, try the password once, look at the group, say who it was.

In this order, so that who isn't in the group learns nothing before their password is right (R48), and so that the
password is tried once at any server and never again after a refusal (R27, A5). A server that took the password
and gave no answer is not asked again; the next one is, while time is left: at worst, with hosts that hang, a wrong
password counts once at each of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from authproxy.backends.directory.binds import Credentials, NoVerdict, Proof, Right, Wrong
from authproxy.backends.directory.connect import Connector, Unusable
from authproxy.backends.directory.connection import ConnectionFailed, LdapConnection
from authproxy.backends.directory.examine import HostReport
from authproxy.backends.directory.groups import Membership
from authproxy.backends.directory.hosts import HostHealth, Hosts, State
from authproxy.backends.directory.lookup import Lookup, User
from authproxy.backends.directory.names import Name, read_name
from authproxy.backends.directory.ntlm import PasswordNotText
from authproxy.backends.directory.pool import Overloaded
from authproxy.backends.directory.server import Server, ServiceAccount
from authproxy.backends.directory.settings import AuthType, DirectorySettings, Transport
from authproxy.backends.lockout import LockoutGuard, SharedAttempts, place_of
from authproxy.backends.resolve import Resolver
from authproxy.backends.tls import ServerCertificates
from authproxy.observe.log import Log
from authproxy.pipeline.ports import PrimaryUnavailable, PrimaryUnusable, RefusalKind, Refused, Verified
from authproxy.pipeline.request import AuthRequest
from authproxy.secret import Secret
from authproxy.values import light_dataclass

T = TypeVar("T")
# Which groups a user is in, and which of those that were asked about not.
GroupsOf = Callable[[Server, User, float], Awaitable[tuple[frozenset[str], frozenset[str]]]]

# The same mistake is told once in so many seconds, not once a login (A14).
_REPEAT = 60.0


@light_dataclass(frozen=True, slots=True)
class DirectoryHealth:
    """`service_account`: why it was refused; "" if it wasn't."""

    hosts: tuple[HostHealth, ...]
    service_account: str

    @property
    def ready(self) -> bool:
        """Whether a host can be asked. A host that was never asked counts as usable."""
        return not self.service_account and any(host.state is not State.DOWN for host in self.hosts)


class Directory:
    """An `ad_client` section (implements pipeline.ports.Primary)."""

    def __init__(
        self,
        settings: DirectorySettings,
        *,
        reactor: Any,
        resolver: Resolver,
        log: Log,
        certificates: ServerCertificates | None = None,
        shared: SharedAttempts | None = None,
    ) -> None:
        """It connects to nothing before `start`. `certificates` gets the expiry of the servers' certificates."""
        self._settings = settings
        self._reactor = reactor
        self._log = log
        self._service = ServiceAccount(settings, reactor=reactor, log=log)
        connector = Connector(settings, reactor=reactor, resolver=resolver, certificates=certificates)
        self._servers = [
            Server(host, settings, connector, self._service, reactor=reactor) for host in settings.hosts
        ]
        self._hosts = Hosts(
            [(server, server.probe) for server in self._servers],
            reactor=reactor,
            log=log,
            section=settings.name,
        )
        self._lookup = Lookup(settings, clock=reactor.seconds, log=log)
        group = settings.security_group_dn
        self._membership = None if group is None else Membership(group, section=settings.name, log=log)
        self._told: dict[str, float] = {}
        self.guard = LockoutGuard(
            settings.lockout, section=settings.name, reactor=reactor, log=log, shared=shared
        )

    def start(self) -> None:
        """Ask each host whether it answers."""
        doubt = _doubt(self._settings)
        if doubt:
            self._log.warn("directory.unprotected", section=self._settings.name, todo=doubt)
        self._hosts.start()

    async def close(self) -> None:
        self._hosts.close()
        for server in self._servers:
            server.close()

    @property
    def settings(self) -> DirectorySettings:
        return self._settings

    @property
    def lookup(self) -> Lookup:
        return self._lookup

    async def is_admitted(self, server: Server, user: User, deadline: float) -> bool:
        """Whether the entry is in `security_group_dn`, or none is required. Raises as Server's methods do."""
        return self._membership is None or await is_member(server, self._membership, user, deadline)

    def health(self) -> DirectoryHealth:
        return DirectoryHealth(self._hosts.health(), self._service.refused)

    async def examine(self, timeout: float) -> tuple[HostReport, ...]:
        """Test each host as the service account, `timeout` seconds each. No user's password is tried."""
        return tuple([await self._examine(server, timeout) for server in self._servers])

    async def _examine(self, server: Server, timeout: float) -> HostReport:
        began = self._reactor.seconds()
        problem = ""
        warnings: tuple[str, ...] = ()
        try:
            warnings = await server.examine(began + timeout)
        except (ConnectionFailed, NoVerdict, Unusable) as failed:
            problem = str(failed)
        seconds = self._reactor.seconds() - began
        return HostReport(str(server), problem, warnings, server.root.active_directory, seconds)

    async def verify(
        self, request: AuthRequest, password: Secret, groups_of: GroupsOf | None = None
    ) -> Verified | Refused:
        """See pipeline.ports.Primary. Takes at most `timeout` and the request's deadline, for all hosts together (A6).

        `groups_of` is asked at the same server, after the password was found right.
        """
        # The pipeline's rule already; here too because it is this file that would bind anonymously (R25).
        if not password:
            return Refused("empty_password")
        if not request.username.typed:
            return Refused("unknown_user")
        name = read_name(request.username.typed)

        def ask(server: Server, until: float) -> Awaitable[Verified | Refused]:
            return self._ask(server, name, request, password, until, groups_of)

        return await self.consult(ask, request.deadline)

    async def consult(self, question: Callable[[Server, float], Awaitable[T]], deadline: float) -> T:
        """The first verdict of a host, within `timeout` and the deadline for all hosts together (A6).

        `question` is called with a server and its own deadline, and raises as Server's methods do. Raises
        PrimaryUnavailable.
        """
        deadline = min(deadline, self._reactor.seconds() + self._settings.timeout)
        problems: list[str] = []
        servers = self._hosts.best or await self._hosts.usable(deadline)
        for at, server in enumerate(servers):
            now = self._reactor.seconds()
            if now >= deadline:
                break
            # Each host that may still be asked gets an equal part of the time that is left.
            until = now + (deadline - now) / (len(servers) - at)
            try:
                answer = await question(server, until)
            except (ConnectionFailed, NoVerdict) as failed:
                self._hosts.failed(server, str(failed))
                problems.append(f"{server}: {failed}")
            except Overloaded as overloaded:
                problems.append(f"{server}: {overloaded}")
            except Unusable as unusable:
                self._tell(str(unusable))
                raise PrimaryUnusable(f"{server}: {unusable}") from None
            else:
                self._hosts.answered(server)
                return answer
        raise PrimaryUnavailable("; ".join(problems) or self._why_nobody())

    async def _ask(
        self,
        server: Server,
        name: Name,
        request: AuthRequest,
        password: Secret,
        deadline: float,
        groups_of: GroupsOf | None,
    ) -> Verified | Refused:
        def find(connection: LdapConnection) -> Awaitable[User | Refused]:
            return self._lookup.find(connection, server.root, name, deadline)

        user = await server.search(find, deadline)
        if isinstance(user, Refused):
            return user

        def prove() -> Awaitable[Proof]:
            return server.prove(Credentials(user.dn, user.account, password), deadline)

        # By the name that the directory confirmed: however else it is typed, it is the same account.
        whose, place = user.username.canonical, place_of(request)
        try:
            proof = await self.guard.attempt(whose, place, deadline, prove, _cause)
        except PasswordNotText:
            return Refused("password_not_utf8")
        match proof:
            case Refused():
                return proof
            case Wrong(cause):
                return Refused(cause)
            case Right(grace_logins):
                if grace_logins is not None:
                    self._log.info(
                        "directory.grace_login", section=self._settings.name, entry=user.dn, left=grace_logins
                    )
                return await self._in_group(server, user, deadline, groups_of)

    async def _in_group(
        self, server: Server, user: User, deadline: float, groups_of: GroupsOf | None
    ) -> Verified | Refused:
        if not await self.is_admitted(server, user, deadline):
            return Refused("not_in_group", RefusalKind.NOT_IN_GROUP)
        if groups_of is None:
            return Verified(user.username.canonical, user.dn)
        inside, outside = await groups_of(server, user, deadline)
        return Verified(user.username.canonical, user.dn, inside, outside=outside)

    def _tell(self, problem: str) -> None:
        """What the administrator has to do, once in a while."""
        now = self._reactor.seconds()
        if now - self._told.get(problem, float("-inf")) >= _REPEAT:
            self._told = {text: at for text, at in self._told.items() if now - at < _REPEAT} | {problem: now}
            self._log.error("directory.unusable", section=self._settings.name, problem=problem)

    def _why_nobody(self) -> str:
        down = [f"{host.host}: {host.why}" for host in self._hosts.health() if host.state is State.DOWN]
        return "; ".join(down) or "no time left"


def _cause(proof: Proof) -> str | None:
    return proof.cause if isinstance(proof, Wrong) else None


def _doubt(settings: DirectorySettings) -> str:
    """What somebody between us and the directory could do, or ""."""
    if settings.transport is Transport.CLEAR:
        if settings.auth_type is AuthType.PLAIN:
            return "every password crosses the network readable: set transport to ldaps"
        # The key that seals is made of the password that was typed: whoever typed it can be the directory.
        return "nothing but NTLM shows that this is the directory: set transport to ldaps"
    if not settings.trust.verify:
        return "anybody can be the directory: its certificate isn't verified"
    if not settings.trust.verify_hostname:
        return "whoever has a certificate of the same authority can be the directory: its name isn't verified"
    return ""


async def is_member(server: Server, group: Membership, user: User, deadline: float) -> bool:
    """Whether the entry is in the group. Raises as Server's methods do."""

    async def holds(connection: LdapConnection) -> bool:
        return await group.holds(connection, server.root, user, deadline)

    return await server.search(holds, deadline)
