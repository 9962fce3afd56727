"""The running service: ports and the sections that they serve; start, drain, reload (A12, A13)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from socket import socket
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, TimeoutError
from twisted.python.failure import Failure

from authproxy.config.load import Loaded
from authproxy.config.model import LdapServerAuto, RadiusServer
from authproxy.config.options.addresses import Endpoint
from authproxy.listeners.radius.listener import RadiusListener
from authproxy.listeners.radius.udp import DatagramPort, Route
from authproxy.observe.bridge import with_traceback
from authproxy.service.building.builder import build
from authproxy.service.building.parts import Built, Section
from authproxy.service.building.world import World
from authproxy.service.http_proxy import HttpProxyPort
from authproxy.service.ldap import LdapPort
from authproxy.service.ports import (
    Sockets,
    accounting_endpoints,
    bind,
    ldap_endpoints,
    radius_endpoints,
    radsec_endpoints,
)
from authproxy.service.radsec import RadSecPort
from authproxy.service.vanished import forget_vanished


@dataclass(slots=True, eq=False)
class RadiusPort:
    """A bound UDP socket, and the listener that reads it."""

    listener: RadiusListener[Route]
    port: DatagramPort

    @property
    def address(self) -> str:
        return self.port.address

    @property
    def pending(self) -> int:
        return self.listener.pending

    def drain(self) -> Deferred[None]:
        return self.listener.drain()

    def close(self) -> None:
        self.port.close()


Port = RadiusPort | RadSecPort | LdapPort | HttpProxyPort


class Service:
    """Everything that runs, except the admin endpoint."""

    def __init__(self, built: Built, world: World) -> None:
        self._built = built
        self._world = world
        self._ports: dict[Endpoint, RadiusPort] = {}
        self._ldap: dict[Endpoint, LdapPort] = {}
        self._radsec: dict[Endpoint, RadSecPort] = {}
        self._http_proxy: dict[Endpoint, HttpProxyPort] = {}
        # Ports and parts of configurations before this one, until their logins have ended.
        self._leaving: set[Port] = set()
        self._retiring: list[Built] = []
        self.draining = False

    @property
    def built(self) -> Built:
        return self._built

    @property
    def addresses(self) -> list[str]:
        """All addresses, as `udp ADDRESS:PORT` or `tcp ADDRESS:PORT`."""
        found = [f"udp {port.address}" for port in self._ports.values()]
        by_tcp: list[Port] = [*self._radsec.values(), *self._ldap.values(), *self._http_proxy.values()]
        return found + [f"tcp {port.address}" for port in by_tcp]

    def listening(self, section: Section) -> list[str]:
        """The addresses of one section, as ADDRESS:PORT."""
        match section.options:
            case RadiusServer() as options:
                ports = (*radius_endpoints(options), *accounting_endpoints(options))
                udp = [self._ports[at].address for at in ports if at in self._ports]
                tls = [self._radsec[at].address for at in radsec_endpoints(options) if at in self._radsec]
                return udp + tls
            case LdapServerAuto() as options:
                return [self._ldap[at].address for at in ldap_endpoints(options) if at in self._ldap]
            case _:
                return []

    @property
    def pending(self) -> int:
        """How many requests wait for an answer."""
        return sum(port.pending for port in self._all())

    def _all(self) -> list[Port]:
        udp_and_tls: list[Port] = [*self._ports.values(), *self._radsec.values()]
        return [*udp_and_tls, *self._ldap.values(), *self._http_proxy.values(), *self._leaving]

    def start(self, sockets: Sockets) -> None:
        """Begin to read the sockets, and have the cloud check our credentials."""
        for endpoint, sock in sockets.radius.items():
            self._open(endpoint, sock)
        for endpoint, sock in sockets.radsec.items():
            self._open_radsec(endpoint, sock)
        for endpoint, sock in sockets.ldap.items():
            self._open_ldap(endpoint, sock)
        for endpoint, sock in sockets.http_proxy.items():
            self._open_http_proxy(endpoint, sock)
        if self._world.shared is not None:
            self._world.shared.start()
        self._built.start()

    def reload(self, loaded: Loaded) -> None:
        """Change to another configuration. Logins that are waiting end under the one that they began with.

        Raises InvalidConfig or CannotBind; then nothing has changed.
        """
        built = build(loaded, self._world, self._built)
        sockets = bind(loaded.config, self._ports, self._ldap, self._radsec, self._http_proxy, admin=False)
        before, self._built = self._built, built
        for endpoint in [endpoint for endpoint in self._ports if endpoint not in built.radius]:
            self._leave(self._ports.pop(endpoint))
        for endpoint, port in self._ports.items():
            served = built.radius[endpoint]
            port.listener.serve(served.clients, served.limits, served.codes)
        for endpoint, sock in sockets.radius.items():
            self._open(endpoint, sock)
        self._go_over(self._radsec, built.radsec, sockets.radsec, self._open_radsec)
        self._go_over(self._ldap, built.ldap, sockets.ldap, self._open_ldap)
        self._go_over(self._http_proxy, built.http_proxy, sockets.http_proxy, self._open_http_proxy)
        built.start()
        self._retiring.append(before)
        self._world.log.info("service.reloaded", listening=self.addresses)
        self._close_retired()

    async def drain(self, timeout: float) -> int:
        """Accept nothing new, and wait at most `timeout` seconds for the logins that are waiting. Returns how many were
        cut off.
        """
        self.draining = True
        waiting = [port.drain() for port in self._all()]
        drained = DeferredList(waiting, consumeErrors=True)  # those that the time-out cancels
        drained.addTimeout(timeout, self._world.reactor)
        with contextlib.suppress(TimeoutError):
            await drained
        return self.pending

    async def close(self) -> None:
        for port in self._all():
            port.close()
        self._ports.clear()
        self._ldap.clear()
        self._radsec.clear()
        self._http_proxy.clear()
        for built in (*self._retiring, self._built):
            await built.close()
        if self._world.shared is not None:
            await self._world.shared.close()
        self._world.resolver.close()

    # ---- ports

    def _open(self, endpoint: Endpoint, sock: socket) -> None:
        served = self._built.radius[endpoint]
        listener: RadiusListener[Route] = RadiusListener(
            receiver=str(endpoint),
            served=served.clients,
            limits=served.limits,
            latches=self._world.state.latches,
            reactor=self._world.reactor,
            log=self._world.log,
            discards=self._world.metrics,
            workload=self._world.workload,
            signers=self._world.state.signers,
            codes=served.codes,
            patiences=self._world.patiences,
        )
        port = DatagramPort(sock, self._world.reactor, listener.take)
        listener.send = port.send
        self._world.metrics.udp_socket(port.address, sock.fileno())
        self._ports[endpoint] = RadiusPort(listener, port)
        port.start()

    def _open_ldap(self, endpoint: Endpoint, sock: socket) -> None:
        world = self._world
        plan = self._built.ldap[endpoint]
        self._ldap[endpoint] = LdapPort(
            plan,
            sock,
            reactor=world.reactor,
            log=world.log,
            metrics=world.metrics,
            descriptors=world.descriptors,
        )

    def _open_radsec(self, endpoint: Endpoint, sock: socket) -> None:
        world = self._world
        self._radsec[endpoint] = RadSecPort(
            self._built.radsec[endpoint],
            sock,
            latches=world.state.latches,
            workload=world.workload,
            patiences=world.patiences,
            reactor=world.reactor,
            log=world.log,
            metrics=world.metrics,
        )

    def _open_http_proxy(self, endpoint: Endpoint, sock: socket) -> None:
        world = self._world
        self._http_proxy[endpoint] = HttpProxyPort(
            self._built.http_proxy[endpoint],
            sock,
            reactor=world.reactor,
            log=world.log,
            metrics=world.metrics,
            descriptors=world.descriptors,
        )

    def _go_over(
        self,
        ports: dict[Endpoint, Any],
        plans: Mapping[Endpoint, Any],
        sockets: Mapping[Endpoint, socket],
        open_port: Callable[[Endpoint, socket], None],
    ) -> None:
        """Ports by TCP, of one kind: close those that nobody wants, serve the others as planned, open the new ones."""
        for endpoint in [endpoint for endpoint in ports if endpoint not in plans]:
            self._leave(ports.pop(endpoint))
        for endpoint, port in ports.items():
            port.serve(plans[endpoint])
        for endpoint, sock in sockets.items():
            open_port(endpoint, sock)

    def _leave(self, port: Port) -> None:
        """Answer what was asked there, take nothing new, then close it."""
        self._leaving.add(port)

        def close(_: object) -> None:
            self._leaving.discard(port)
            port.close()

        port.drain().addBoth(close)

    # ---- parts that nothing uses any more

    def _close_retired(self) -> None:
        """Once no login began with them is waiting; looked at now and then."""
        for built in [built for built in self._retiring if not built.pending]:
            self._retiring.remove(built)
            forget_vanished(self._world, built, (*self._retiring, self._built))
            # Others of them may still use what this one had from them.
            Deferred.fromCoroutine(built.close(keep=(*self._retiring, self._built))).addErrback(
                self._not_closed
            )
        if self._retiring:
            self._world.reactor.callLater(1.0, self._close_retired)

    def _not_closed(self, failure: Failure) -> None:
        self._world.log.failure("service.close_failed", with_traceback(failure))
