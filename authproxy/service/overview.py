"""What the running service reports at `main.admin`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from authproxy.backends.cloud.health import CloudState as CloudWord
from authproxy.backends.directory.hosts import HostHealth
from authproxy.backends.directory.hosts import State as HostWord
from authproxy.config.model import RadiusServer
from authproxy.config.model.kinds import kind_of
from authproxy.listeners.admin.overview import (
    CertificateState,
    ClientState,
    CloudState,
    Health,
    HostState,
    PendingLogin,
    PrimaryState,
    SectionState,
)
from authproxy.listeners.radius.clients import Client
from authproxy.observe.alarms.alarm import Alarm
from authproxy.observe.alarms.board import Alarms
from authproxy.observe.audit import AuditEvent
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.patience import ClientPatience
from authproxy.pipeline.request import AuthRequest
from authproxy.service.building.parts import DirectoryPart, NoPart, RadiusPart, Section
from authproxy.service.building.plans import radius_clients
from authproxy.service.building.world import World
from authproxy.service.radsec import radsec_client_keys
from authproxy.service.running import Service

_HOSTS = {
    HostWord.UNKNOWN: Health.UNKNOWN,
    HostWord.UP: Health.UP,
    HostWord.SUSPECT: Health.UNKNOWN,
    HostWord.DOWN: Health.DOWN,
}
_CLOUDS = {CloudWord.UNKNOWN: Health.UNKNOWN, CloudWord.UP: Health.UP, CloudWord.DOWN: Health.DOWN}


class ServiceOverview:
    """Implements listeners.admin's Overview."""

    def __init__(self, service: Service, world: World, alarms: Alarms) -> None:
        self._service = service
        self._world = world
        self._alarms = alarms

    def draining(self) -> bool:
        return self._service.draining

    def sections(self) -> Sequence[SectionState]:
        return [self._section(name, section) for name, section in self._service.built.sections.items()]

    def pending(self) -> Iterable[PendingLogin]:
        waiting = [
            self._pending(request)
            for section in self._service.built.sections.values()
            for request in section.logins.waiting()
        ]
        return sorted(waiting, key=lambda login: login.since)

    def decisions(self) -> Iterable[AuditEvent]:
        return self._world.recent.decisions()

    def fail_opens(self) -> Iterable[AuditEvent]:
        return self._world.recent.fail_opens()

    def fail_open_count(self) -> int:
        return self._world.recent.fail_open_count

    def without_factor(self) -> Iterable[AuditEvent]:
        return self._world.recent.without_factor()

    def certificates(self) -> Iterable[CertificateState]:
        expiries = self._world.certificates.expiries()
        return [CertificateState(name, not_after) for name, not_after in sorted(expiries.items())]

    def alarms(self) -> Iterable[Alarm]:
        return self._alarms.recent()

    def clients(self) -> Iterator[ClientState]:
        for section in self._service.built.sections.values():
            if isinstance(section.options, RadiusServer):
                for client in radius_clients(section.options):
                    yield self._client(section.options.name, client)

    def client_counts(self) -> Iterator[tuple[str, str, int, int, bool]]:
        """For the metrics."""
        for client in self.clients():
            yield (client.section, client.name, client.signed_count, client.unsigned_count, client.latched)

    def _client(self, section: str, client: Client) -> ClientState:
        state = self._world.state
        signing = state.signers.of(client.key)
        return ClientState(
            section=section,
            name=client.name,
            require=client.require_message_authenticator.value,
            latched=client.key in state.latches,
            signed_since=signing.signed_since or None,
            unsigned_at=signing.unsigned_at or None,
            last_at=signing.last_at or None,
            signed_count=signing.signed_count,
            unsigned_count=signing.unsigned_count,
            advice=state.signers.advice(client.key, client.require_message_authenticator).value,
        )

    def patiences(self) -> Iterable[ClientPatience]:
        """Of those that are configured: others may have asked a minute ago."""
        sections = [section.options for section in self._service.built.sections.values()]
        radius = [options for options in sections if isinstance(options, RadiusServer)]
        known = {client.key for options in radius for client in radius_clients(options)}
        known |= {key for options in radius for key in radsec_client_keys(options)}
        return [each for each in self._world.patiences.report() if each.client in known]

    def troubles(self) -> Iterator[str]:
        for writer in self._world.writers:
            if writer.problem:
                yield f"{writer.name}: can't be written: {writer.problem}"
        if (shared := self._world.shared) is not None and shared.problem:
            yield f"shared_state: {shared.at}: {shared.problem}; this node decides alone"
        for name, part in self._service.built.primaries.items():
            if isinstance(part, DirectoryPart) and (refused := part.primary.health().service_account):
                yield f"{name}: the service account is refused: {refused}"

    # ---- parts

    def _section(self, name: str, section: Section) -> SectionState:
        return SectionState(
            name=section.options.name,
            kind=kind_of(name),
            listening=tuple(self._service.listening(section)),
            fail_mode=section.options.failmode,
            primary=self._primary(section),
            cloud=self._cloud(section),
            pending=len(section.logins),
            shut_by=section.cloud.watch.shut_by,
            slow_cloud=section.options.slow_cloud,
            primary_only_until=self._primary_only(section),
            open_since=self._open_since(section),
            limits_reached=section.cloud.watch.limits_reached,
        )

    def _primary_only(self, section: Section) -> float | None:
        options = section.options
        if options.failmode is not FailMode.SAFE or isinstance(section.primary, NoPart):
            return None
        return self._world.primary_only.until(options.name)

    def _open_since(self, section: Section) -> float | None:
        since = section.cloud.watch.open_since
        return None if since is None else self._wall(since)

    def _primary(self, section: Section) -> PrimaryState | None:
        name = section.options.client
        match section.primary:
            case DirectoryPart(_, directory):
                return PrimaryState(name, tuple(self._host(host) for host in directory.health().hosts))
            case RadiusPart(_, servers):
                return PrimaryState(name, tuple(self._server(*server) for server in servers.health()))
            case NoPart():
                return None

    def _server(self, name: str, dead_since: float | None) -> HostState:
        if dead_since is None:
            return HostState(name, Health.UP)
        return HostState(name, Health.DOWN, "no answer", self._wall(dead_since))

    def _host(self, host: HostHealth) -> HostState:
        return HostState(host.host, _HOSTS[host.state], host.why, time.time() - host.since)

    def _cloud(self, section: Section) -> CloudState:
        health = section.cloud.cloud.health()
        return CloudState(
            section.options.api_host,
            _CLOUDS[health.state],
            health.last_failure_detail if health.state is CloudWord.DOWN else "",
            self._wall(health.since),
            section.cloud.guarded.is_open,
            section.cloud.slow.is_slow,
            health.latency,
        )

    def _pending(self, request: AuthRequest) -> PendingLogin:
        return PendingLogin(
            login=request.login,
            section=request.section,
            user=request.username.canonical,
            since=self._wall(request.received),
            client=request.client,
            nas_ip=request.nas_ip,
            client_ip=request.client_ip,
        )

    def _wall(self, monotonic: float) -> float:
        """The reactor's seconds as seconds since 1970."""
        return time.time() - (self._world.clock() - monotonic)
