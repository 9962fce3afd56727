"""The parts that a configuration is built of, and all of them together."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

from authproxy.backends.cloud.cloud import Cloud
from authproxy.backends.cloud.guarded import GuardedCloud
from authproxy.backends.cloud.probe import Probe
from authproxy.backends.cloud.proven import Proven
from authproxy.backends.cloud.slow import SlowWatch
from authproxy.backends.directory.directory import Directory
from authproxy.backends.door_watch import DoorWatch
from authproxy.backends.radius.accounting import RadiusAccounting
from authproxy.backends.radius.primary import RadiusPrimary
from authproxy.config.model import Main, ServerSection
from authproxy.config.options.addresses import Endpoint
from authproxy.listeners.ldap.section import LdapSection
from authproxy.listeners.radius.clients import PrefixTable
from authproxy.listeners.radius.eap_section import EapSection
from authproxy.listeners.radius.listener import LOGINS, Limits, Served
from authproxy.listeners.radius.radsec import RadSecPlan
from authproxy.listeners.radius.section import RadiusSection
from authproxy.listeners.tls import ServerTls
from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.decision import Decision, Reason, Reject
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.logins import Logins
from authproxy.pipeline.ports import Refused
from authproxy.pipeline.present import Present
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.workload import Workload
from authproxy.secret import Secret
from authproxy.service.http_proxy import HttpProxyPlan
from authproxy.service.ldap import LdapPlan
from authproxy.values import light_dataclass


class Counted:
    """A pipeline and how many logins are in it, so that it can be closed when they have ended."""

    def __init__(self, pipeline: Pipeline, workload: Workload) -> None:
        self._pipeline = pipeline
        self._workload = workload
        self.pending = 0

    def begin(self) -> None:
        self.pending += 1
        self._workload.begin()

    def end(self) -> None:
        self._workload.end()
        self.pending -= 1

    def authenticate(self, request: AuthRequest) -> Coroutine[Any, Any, Decision]:
        return self._pipeline.authenticate(request)

    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject:
        return self._pipeline.reject(request, reason, cause)


@light_dataclass(frozen=True, slots=True)
class DirectoryPart:
    """`made_of`: two parts with an equal value are interchangeable."""

    made_of: object
    primary: Directory


@light_dataclass(frozen=True, slots=True)
class RadiusPart:
    made_of: object
    primary: RadiusPrimary


class NoPrimary:
    """Stands for the primary of a section that checks no password. The pipeline never asks it (Policy.no_primary)."""

    async def verify(self, request: AuthRequest, password: Secret) -> Refused:
        return Refused("no_primary")

    def start(self) -> None: ...

    async def close(self) -> None: ...


@light_dataclass(frozen=True, slots=True)
class AccountingPart:
    made_of: object
    relay: RadiusAccounting


@light_dataclass(frozen=True, slots=True)
class NoPart:
    made_of: object = None
    primary: NoPrimary = field(default_factory=NoPrimary)


PrimaryPart = DirectoryPart | RadiusPart | NoPart


@light_dataclass(frozen=True, slots=True)
class CloudPart:
    made_of: object
    cloud: Cloud
    guarded: GuardedCloud
    probe: Probe
    proven: Proven
    watch: DoorWatch
    slow: SlowWatch


@light_dataclass(frozen=True, slots=True)
class Section:
    """A server section with all its parts, and `radius` or `ldap`."""

    options: ServerSection
    primary: PrimaryPart
    cloud: CloudPart
    pipeline: Counted
    logins: Logins
    present: Present
    radius: RadiusSection | EapSection | None = None
    ldap: LdapSection | None = None


@light_dataclass(frozen=True, slots=True)
class PortPlan:
    """What a port serves."""

    clients: PrefixTable[Served]
    limits: Limits
    codes: frozenset[int] = LOGINS


@light_dataclass(frozen=True, slots=True)
class Built:
    """A configuration, ready to run. Parts that are the same as in an earlier configuration are taken from there."""

    main: Main
    sections: Mapping[str, Section]
    primaries: Mapping[str, PrimaryPart]
    radius: Mapping[Endpoint, PortPlan]
    ldap: Mapping[Endpoint, LdapPlan]
    radsec: Mapping[Endpoint, RadSecPlan]
    http_proxy: Mapping[Endpoint, HttpProxyPlan]
    accounting: Mapping[str, AccountingPart]
    adopt: list[Callable[[], None]] = field(default_factory=list)
    admin_tls: ServerTls | None = None  # what main.admin shows; None: it speaks no TLS

    @property
    def pending(self) -> int:
        """How many logins are being decided with these parts, plus the accounting requests being forwarded."""
        logins = sum(section.pipeline.pending for section in self.sections.values())
        return logins + sum(part.relay.pending for part in self.accounting.values())

    def start(self) -> None:
        """Take over the earlier configuration's parts, ask each primary's servers whether they answer, and have the
        cloud check each section's credentials, so that they are proven before an outage.
        """
        # Each goes when it is done: it holds the earlier configuration, which held the one before it.
        while self.adopt:
            self.adopt.pop(0)()
        for part in self.primaries.values():
            part.primary.start()
        for section in self.sections.values():
            section.cloud.cloud.start()
            if section.options.failmode is not FailMode.SAFE:
                section.cloud.watch.shut("the section isn't safe any more")

    async def close(self, keep: Iterable[Built] = ()) -> None:
        """Close all connections, except those of parts that one of `keep` uses too."""
        kept = {id(part) for built in keep for part in built._parts()}
        for part in self.primaries.values():
            if id(part) not in kept:
                await part.primary.close()
        for handing in self.accounting.values():
            if id(handing) not in kept:
                handing.relay.close()
        for section in self.sections.values():
            if id(section.cloud) not in kept:
                section.cloud.watch.close()
                section.cloud.slow.close()
                section.cloud.guarded.close()
                await section.cloud.cloud.close()

    def _parts(self) -> Iterator[object]:
        """What a later configuration may have, too."""
        yield from self.primaries.values()
        yield from self.accounting.values()
        yield from (section.cloud for section in self.sections.values())
