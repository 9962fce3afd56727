"""Builds and serves an LDAP section."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from authproxy.backends.directory.admission import DirectoryAdmission
from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.identities import Identities
from authproxy.backends.directory.upstream import Upstreams
from authproxy.config.model import LdapServerAuto
from authproxy.config.model.ldap_server import CloudUsername
from authproxy.config.options.addresses import Endpoint
from authproxy.listeners.descriptors import Descriptors
from authproxy.listeners.ldap.attempt import Attempt
from authproxy.listeners.ldap.section import LdapSection, Limits, Options
from authproxy.listeners.tls import ServerFiles, ServerTls, TlsVersion
from authproxy.observe.log import Log
from authproxy.observe.metrics import Metrics
from authproxy.pipeline.credential import AppendMode
from authproxy.pipeline.policy import Policy
from authproxy.pipeline.ports import Verified
from authproxy.pipeline.request import AuthRequest
from authproxy.protocols.ldap.dn import Subtree
from authproxy.service.ports import ldap_endpoints
from authproxy.values import light_dataclass

if TYPE_CHECKING:
    from authproxy.listeners.ldap.listener import Networks


@light_dataclass(frozen=True, slots=True)
class LdapPlan:
    """What a port serves. `tls_at_once`: it is an LDAPS port."""

    section: LdapSection
    balancers: Networks
    tls_at_once: bool


def ldap_policy(options: LdapServerAuto, directory: Directory) -> Policy:
    return Policy(
        fail_mode=options.failmode,
        slow_cloud=options.slow_cloud,
        append=_append(options),
        factors=options.factors,
        exempts=_exemption(options),
        as_typed=options.cloud_username is CloudUsername.TYPED,
        admission=DirectoryAdmission(directory, [Subtree(dn) for dn in options.exempt_ous]),
    )


def _append(options: LdapServerAuto) -> AppendMode:
    return AppendMode(options.allow_concat, options.delimiter.encode(), options.delimited_password_length)


def _exemption(options: LdapServerAuto) -> Callable[[AuthRequest, Verified], bool]:
    subtrees = [Subtree(dn) for dn in options.exempt_ous]
    groups = frozenset(options.exempt_groups)
    first_bind = options.exempt_primary_bind

    def exempts(request: AuthRequest, verified: Verified) -> bool:
        attempt = request.carried
        if first_bind and isinstance(attempt, Attempt) and attempt.first:
            return True
        return bool(verified.groups & groups) or any(verified.dn in subtree for subtree in subtrees)

    return exempts


def ldap_options(options: LdapServerAuto, bind_timeout: float) -> Options:
    return Options(
        append=_append(options),
        patience=options.login_patience,
        bind_timeout=bind_timeout,
        require_tls=bool(options.require_tls),
        allow_anonymous=options.allow_anonymous_bind,
        exempt_primary_bind=options.exempt_primary_bind,
        allow_searches_after_bind=options.allow_searches_after_bind,
    )


def ldap_limits(options: LdapServerAuto) -> Limits:
    return Limits(
        connections=options.max_connections,
        connections_per_client=options.max_connections_per_client,
        idle=options.idle_timeout,
        network=options.network_timeout,
        pending=options.max_pending,
    )


def ldap_tls(options: LdapServerAuto) -> ServerTls | None:
    """None: the section has no certificate. Raises UnusableCertificate."""
    if options.ssl_cert_path is None or options.ssl_key_path is None:
        return None
    minimum = TlsVersion(options.minimum_tls_version.value)
    return ServerTls(ServerFiles(options.ssl_cert_path, options.ssl_key_path, minimum, options.cipher_list))


def identities(options: LdapServerAuto, directory: Directory, log: Log) -> Identities:
    applications = [Subtree(dn) for dn in options.exempt_ous]
    return Identities(
        directory,
        applications=applications,
        groups=options.exempt_groups,
        log=log,
        as_typed=options.cloud_username is CloudUsername.TYPED,
    )


def upstreams(directory: Directory, earlier: LdapSection | None, same_directory: bool) -> Any:
    """The earlier ones if the directory is the same, so that open connections stay (A13)."""
    if earlier is not None and same_directory:
        return earlier.upstreams
    return Upstreams(directory)


class LdapPort:
    """A listening socket, and its connections."""

    def __init__(
        self,
        plan: LdapPlan,
        sock: socket.socket,
        *,
        reactor: Any,
        log: Log,
        metrics: Metrics,
        descriptors: Descriptors,
    ) -> None:
        # Many daemons serve RADIUS alone, and need none of it.
        from authproxy.listeners.ldap.listener import LdapListener, prepare  # noqa: PLC0415

        host, port = sock.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.listener = LdapListener(
            plan.section,
            balancers=plan.balancers,
            tls_at_once=plan.tls_at_once,
            reactor=reactor,
            log=log,
            disconnects=metrics,
            descriptors=descriptors,
        )
        self._uncounted = metrics.ldap_connections(self.address, lambda: self.listener.connections)
        prepare(sock)
        self._port = reactor.adoptStreamPort(sock.fileno(), sock.family, self.listener)
        sock.close()  # the reactor has its own of it

    def serve(self, plan: LdapPlan) -> None:
        self.listener.serve(plan.section, plan.balancers, tls_at_once=plan.tls_at_once)

    @property
    def pending(self) -> int:
        return self.listener.pending

    def drain(self) -> Deferred[None]:
        """Accept no new connection. The Deferred fires when the last one has ended."""
        self._port.stopListening()
        return self.listener.drain()

    def close(self) -> None:
        self._port.stopListening()
        self.listener.close()
        self._uncounted()


def plans(sections: Sequence[tuple[LdapServerAuto, LdapSection]]) -> dict[Endpoint, LdapPlan]:
    return {
        endpoint: LdapPlan(section, options.proxy_protocol_from, at_once)
        for options, section in sections
        for endpoint, at_once in ldap_endpoints(options).items()
    }
