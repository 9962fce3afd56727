"""Builds and serves the `radsec_…` options of RADIUS sections."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from authproxy.config.model import RadiusServer
from authproxy.config.model.radsec import RadSecClient
from authproxy.config.options.identities import FINGERPRINT
from authproxy.listeners.radius.accounting import Accounting
from authproxy.listeners.radius.clients import Client, PrefixTable, RequireMessageAuthenticator
from authproxy.listeners.radius.eap_section import EapSection
from authproxy.listeners.radius.identities import CertificateNames, IdentityTable, Known
from authproxy.listeners.radius.listener import ACCOUNTING, LOGINS, Latches, Limits, RadiusListener, Served
from authproxy.listeners.radius.radsec import SECRET, RadSecListener, RadSecPlan, StreamLimits
from authproxy.listeners.radius.radsec_connection import RadSecClient as Connection
from authproxy.listeners.radius.section import RadiusSection
from authproxy.listeners.tls import ServerFiles, ServerTls
from authproxy.observe.log import Log
from authproxy.observe.metrics import Metrics
from authproxy.pipeline.patience import Patiences
from authproxy.pipeline.workload import Workload
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Behind:
    """A section that a port serves, and the relay for its accounting."""

    options: RadiusServer
    section: RadiusSection | EapSection
    accounting: Accounting | None = None


def radsec_tls(options: RadiusServer) -> ServerTls | None:
    """None: the section has no RadSec clients. Raises UnusableCertificate."""
    certificate, key = options.radsec_certificate_file, options.radsec_key_file
    if not options.radsec_clients or certificate is None or key is None:
        return None
    return ServerTls(ServerFiles(certificate, key, client_authorities=options.radsec_client_ca_file))


def radsec_plan(sharing: Sequence[Behind], limits: Limits, tls: ServerTls) -> RadSecPlan:
    """The plan of a port that these sections share; options of the port are the same in all of them."""
    first = sharing[0].options
    known = [entry for behind in sharing for entry in _known(behind)]
    stream = StreamLimits(connections=first.radsec_max_connections, idle=first.radsec_idle_timeout)
    return RadSecPlan(IdentityTable(known), limits, tls, stream)


def _known(behind: Behind) -> Iterator[Known[Served]]:
    options = behind.options
    for client in options.radsec_clients:
        served = Client(
            name=client.name,
            key=_key(options, client),
            networks=client.ip,
            secret=SECRET,
            require_message_authenticator=RequireMessageAuthenticator.NO,
            over_tls=True,
        )
        yield Known(client.ip, _names(client), Served(served, behind.section, behind.accounting))


def _key(options: RadiusServer, client: RadSecClient) -> str:
    return f"{options.name}/{client.name}/tls"


def radsec_client_keys(options: RadiusServer) -> Iterator[str]:
    return (_key(options, client) for client in options.radsec_clients)


def _names(client: RadSecClient) -> CertificateNames:
    names = frozenset(one for one in client.certificate if not one.startswith(FINGERPRINT))
    fingerprints = frozenset(
        one.removeprefix(FINGERPRINT) for one in client.certificate if one.startswith(FINGERPRINT)
    )
    return CertificateNames(names, fingerprints)


class RadSecPort:
    """A listening socket, and its connections."""

    def __init__(
        self,
        plan: RadSecPlan,
        sock: socket.socket,
        *,
        latches: Latches,
        workload: Workload,
        patiences: Patiences,
        reactor: Any,
        log: Log,
        metrics: Metrics,
    ) -> None:
        host, port = sock.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        packets: RadiusListener[Connection] = RadiusListener(
            receiver=f"tls {self.address}",
            served=PrefixTable(()),
            limits=plan.limits,
            latches=latches,
            reactor=reactor,
            log=log,
            discards=metrics,
            workload=workload,
            codes=LOGINS | ACCOUNTING,
            patiences=patiences,
        )
        self.listener = RadSecListener(plan, packets, reactor=reactor, log=log, disconnects=metrics)
        self._uncounted = metrics.radsec_connections(self.address, lambda: self.listener.connections)
        self._port = reactor.adoptStreamPort(sock.fileno(), sock.family, self.listener.over_tls)
        sock.close()  # the reactor has its own of it

    def serve(self, plan: RadSecPlan) -> None:
        self.listener.packets.serve(PrefixTable(()), plan.limits)
        self.listener.serve(plan)

    @property
    def pending(self) -> int:
        return self.listener.packets.pending

    def drain(self) -> Deferred[None]:
        """Accept no new connection. The Deferred fires when the last one has ended."""
        self._port.stopListening()
        return self.listener.drain()

    def close(self) -> None:
        self._port.stopListening()
        self.listener.close()
        self._uncounted()
