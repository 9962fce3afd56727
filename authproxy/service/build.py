"""What the options of a section mean: its policy, its primary, its cloud, its clients. Nothing here binds or asks."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from authproxy.backends.cloud.cloud import Cloud
from authproxy.backends.cloud.guarded import GuardedCloud
from authproxy.backends.cloud.pool import PoolLimits
from authproxy.backends.cloud.probe import Probe
from authproxy.backends.cloud.proven import Proven
from authproxy.backends.cloud.proxy import OutboundProxy
from authproxy.backends.cloud.settings import CloudSettings
from authproxy.backends.cloud.slow import SlowWatch
from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.memberships import GroupingDirectory, Memberships
from authproxy.backends.directory.names import bare
from authproxy.backends.directory.settings import AuthType, DirectorySettings, Host, Transport
from authproxy.backends.door_watch import DoorWatch
from authproxy.backends.lockout import LockoutRules
from authproxy.backends.primary_only import PrimaryOnly
from authproxy.backends.radius.accounting import RadiusAccounting
from authproxy.backends.radius.primary import RadiusPrimary
from authproxy.backends.radius.settings import RadiusClientSettings
from authproxy.backends.resolve import Resolver
from authproxy.backends.tls import ServerCertificates, Trust, UnusableTrust, client_tls
from authproxy.config import model
from authproxy.config.dictionary_folder import read_dictionary_folder
from authproxy.config.load import Loaded
from authproxy.config.model import (
    AdClient,
    Appending,
    DuoOnlyClient,
    LdapServerAuto,
    Main,
    RadiusClient,
    RadiusServer,
    RadiusServerAuto,
    RadiusServerChallenge,
    RadiusServerConcat,
    RadiusServerDuoOnly,
    RadiusServerEap,
    RadiusTransport,
    ServerSection,
)
from authproxy.config.options.addresses import Endpoint
from authproxy.config.problems import InvalidConfig, Problem, suggestion
from authproxy.listeners.descriptors import Descriptors
from authproxy.listeners.ldap.attempt import BindPrimary
from authproxy.listeners.ldap.section import LdapSection
from authproxy.listeners.radius.clients import Client, PrefixTable, RequireMessageAuthenticator
from authproxy.listeners.radius.eap_section import EapSection
from authproxy.listeners.radius.listener import ACCOUNTING, LOGINS, Limits, Served
from authproxy.listeners.radius.mark import SessionMark
from authproxy.listeners.radius.radsec import RadSecPlan
from authproxy.listeners.radius.section import RadiusSection
from authproxy.listeners.tls import ServerFiles, ServerTls, TlsVersion, UnusableCertificate
from authproxy.observe.audit import Audit
from authproxy.observe.doors import DoorEvents
from authproxy.observe.log import Log
from authproxy.observe.metrics import Metrics
from authproxy.observe.recent import Recent
from authproxy.observe.record import SectionRecorder
from authproxy.observe.writer import LineWriter
from authproxy.pipeline.approvals import Approvals, SectionApprovals
from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.challenge import Challenges
from authproxy.pipeline.credential import AppendMode
from authproxy.pipeline.decision import Decision, Reason, Reject
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.failure_limit import FailureLimit, FailureRules, Failures
from authproxy.pipeline.grants import Grants
from authproxy.pipeline.logins import Logins
from authproxy.pipeline.patience import Patiences
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import Clock, Primary, Refused
from authproxy.pipeline.push_limit import Prompts, PushLimit, PushRules
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.second_step import SecondStep
from authproxy.pipeline.username import canonical
from authproxy.pipeline.workload import Workload
from authproxy.protocols.ldap.filter_text import parse_filter
from authproxy.protocols.radius import dictionary
from authproxy.protocols.radius.packet import CLASS, FILTER_ID, REPLY_MESSAGE, Attribute
from authproxy.protocols.radius.relay import Allowed
from authproxy.protocols.radius.vendor import Key
from authproxy.secret import Secret
from authproxy.service import ldap
from authproxy.service.alarms import ways
from authproxy.service.certificates import expiries_of
from authproxy.service.doors import section_door
from authproxy.service.grants import grants
from authproxy.service.ldap import LdapPlan
from authproxy.service.ports import accounting_endpoints, radius_endpoints, radsec_endpoints
from authproxy.service.radsec import Behind, radsec_plan, radsec_tls
from authproxy.service.state import State

# Attributes that need no dictionary, whose loading costs the start a tenth of a second.
_USUAL: Mapping[str, Key] = {
    "calling-station-id": (None, 31),
    "paloalto": (25461, 7),
}


@dataclass(frozen=True, slots=True)
class World:
    """What all sections share, whatever the configuration."""

    reactor: Any
    log: Log
    audit: Audit
    metrics: Metrics
    recent: Recent
    resolver: Resolver
    certificates: ServerCertificates
    state: State
    challenges: Challenges
    doors: DoorEvents
    primary_only: PrimaryOnly
    writers: Sequence[LineWriter] = ()
    workload: Workload = field(default_factory=Workload)
    descriptors: Descriptors = field(default_factory=Descriptors)
    pushes: PushLimit = field(default_factory=PushLimit)
    failures: FailureLimit = field(default_factory=FailureLimit)
    patiences: Patiences = field(default_factory=Patiences)
    login_key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    approvals: Approvals = field(default_factory=lambda: Approvals(os.urandom(32)))

    @property
    def clock(self) -> Clock:
        """Monotonic seconds: the reactor's own, with nothing between."""
        seconds: Clock = self.reactor.seconds
        return seconds


class Counted:
    """A pipeline that knows how many logins are in it: it goes when they have ended."""

    def __init__(self, pipeline: Pipeline, workload: Workload) -> None:
        self._pipeline = pipeline
        self._workload = workload
        self.pending = 0

    async def authenticate(self, request: AuthRequest) -> Decision:
        self.pending += 1
        self._workload.begin()
        try:
            return await self._pipeline.authenticate(request)
        finally:
            self._workload.end()
            self.pending -= 1

    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject:
        return self._pipeline.reject(request, reason, cause)


@dataclass(frozen=True, slots=True)
class DirectoryPart:
    """`made_of`: two with the same are the same."""

    made_of: object
    primary: Directory


@dataclass(frozen=True, slots=True)
class RadiusPart:
    made_of: object
    primary: RadiusPrimary


class NoPrimary:
    """Nobody to ask for a password. The pipeline never does (Policy.no_primary)."""

    async def verify(self, request: AuthRequest, password: Secret) -> Refused:
        return Refused("no_primary")

    def start(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class AccountingPart:
    made_of: object
    relay: RadiusAccounting


@dataclass(frozen=True, slots=True)
class NoPart:
    made_of: object = None
    primary: NoPrimary = field(default_factory=NoPrimary)


PrimaryPart = DirectoryPart | RadiusPart | NoPart


@dataclass(frozen=True, slots=True)
class CloudPart:
    made_of: object
    cloud: Cloud
    guarded: GuardedCloud
    probe: Probe
    proven: Proven
    watch: DoorWatch
    slow: SlowWatch


@dataclass(frozen=True, slots=True)
class Section:
    """A server section with all its parts, and `radius` or `ldap`."""

    options: ServerSection
    primary: PrimaryPart
    cloud: CloudPart
    pipeline: Counted
    logins: Logins
    radius: RadiusSection | EapSection | None = None
    ldap: LdapSection | None = None


@dataclass(frozen=True, slots=True)
class PortPlan:
    """What a port serves."""

    clients: PrefixTable[Served]
    limits: Limits
    codes: frozenset[int] = LOGINS


@dataclass(frozen=True, slots=True)
class Built:
    """A configuration, ready to run. Parts that an earlier one has just so are the earlier one's."""

    main: Main
    sections: Mapping[str, Section]
    primaries: Mapping[str, PrimaryPart]
    radius: Mapping[Endpoint, PortPlan]
    ldap: Mapping[Endpoint, LdapPlan]
    radsec: Mapping[Endpoint, RadSecPlan]
    accounting: Mapping[str, AccountingPart]

    @property
    def pending(self) -> int:
        """Logins that are being decided with these parts, and accounting that is being handed on."""
        logins = sum(section.pipeline.pending for section in self.sections.values())
        return logins + sum(part.relay.pending for part in self.accounting.values())

    def start(self) -> None:
        """Look who answers, and show the cloud each section's credentials: an outage later finds them proven."""
        for part in self.primaries.values():
            part.primary.start()
        for section in self.sections.values():
            section.cloud.cloud.start()
            if section.options.failmode is not FailMode.SAFE:
                section.cloud.watch.shut("the section isn't safe any more")

    async def close(self, keep: Built | None) -> None:
        """Close every connection but those of parts that `keep` has, too."""
        for name, part in self.primaries.items():
            if keep is None or keep.primaries.get(name) is not part:
                await part.primary.close()
        for name, handing in self.accounting.items():
            if keep is None or keep.accounting.get(name) is not handing:
                handing.relay.close()
        for name, section in self.sections.items():
            if keep is None or name not in keep.sections or keep.sections[name].cloud is not section.cloud:
                section.cloud.watch.close()
                section.cloud.slow.close()
                section.cloud.guarded.close()
                await section.cloud.cloud.close()


def build(loaded: Loaded, world: World, earlier: Built | None = None) -> Built:
    """Raises InvalidConfig: what shows only here, such as a CA file that can't be read."""
    builder = _Builder(loaded, world, earlier)
    built = builder.build()
    if builder.problems:
        raise InvalidConfig(builder.problems)
    world.certificates.configure(builder.expiries)
    return built


class _Builder:
    """One configuration on its way. Problems are collected, so that all are told at once."""

    def __init__(self, loaded: Loaded, world: World, earlier: Built | None) -> None:
        self._loaded = loaded
        self._config = loaded.config
        self._world = world
        self._earlier = earlier
        self._dictionary: dictionary.Dictionary | None = None
        self.problems: list[Problem] = []
        self.expiries: dict[str, float] = expiries_of(loaded.config)

    def build(self) -> Built:
        primaries: dict[str, PrimaryPart] = {
            **dict(self._directories()),
            **dict(self._radius_servers()),
            **{name: NoPart() for name in self._config.all(DuoOnlyClient)},
        }
        sections = {**dict(self._sections(primaries)), **dict(self._ldap_sections(primaries))}
        for unusable in ways(self._config.main)[1]:
            self._problem("main", unusable.option, unusable.problem)
        accounting = dict(self._accounting(primaries))
        return Built(
            self._config.main,
            sections,
            primaries,
            {**self._ports(sections), **self._accounting_ports(sections, accounting)},
            self._ldap_ports(sections),
            self._radsec_ports(sections, accounting),
            accounting,
        )

    def _problem(self, section: str, option: str | tuple[str | int, ...], what: str) -> None:
        self.problems.append(self._loaded.problem(section, option, what))

    # ---- directories

    def _directories(self) -> Iterator[tuple[str, DirectoryPart]]:
        for name, options in self._config.all(AdClient).items():
            trust = directory_trust(options)
            if options.transport is not model.Transport.CLEAR and not self._usable(name, options, trust):
                continue
            try:
                settings = directory_settings(name, options, trust, groups=self._groups_asked(name))
            except ValueError as wrong:
                self._problem(name, "", str(wrong))
                continue
            yield name, self._directory(name, settings)

    def _groups_asked(self, directory: str) -> tuple[str, ...]:
        sections = self._config.all(RadiusServer).values()
        rules = [rule for section in sections if section.client == directory for rule in section.attributes]
        return tuple(dict.fromkeys(rule.group for rule in rules if rule.group))

    def _usable(self, name: str, options: AdClient, trust: Trust) -> bool:
        try:
            for host in options.host:
                client_tls(options.ssl_server_name or host, trust)
        except UnusableTrust as unusable:
            self._problem(name, "ssl_ca_certs_file", str(unusable))
            return False
        return True

    def _directory(self, name: str, settings: DirectorySettings) -> DirectoryPart:
        """The earlier one if it is the same: it has connections, and knows which hosts are dead."""
        made_of = (settings, files_of(settings.trust))
        before = self._earlier.primaries.get(name) if self._earlier else None
        if isinstance(before, DirectoryPart) and before.made_of == made_of:
            return before
        world = self._world
        directory = Directory(
            settings,
            reactor=world.reactor,
            resolver=world.resolver,
            log=world.log,
            certificates=world.certificates,
        )
        return DirectoryPart(made_of, directory)

    # ---- RADIUS servers

    def _radius_servers(self) -> Iterator[tuple[str, RadiusPart]]:
        for name, options in self._config.all(RadiusClient).items():
            try:
                yield name, self._radius(name, options)
            except UnusableTrust as unusable:
                self._problem(name, "ssl_ca_certs_file", str(unusable))

    def _radius(self, name: str, options: RadiusClient) -> RadiusPart:
        """The earlier one if it is the same: it has connections, and knows which servers are dead."""
        trust = radsec_trust(options)
        settings = RadiusClientSettings(
            name=name,
            hosts=options.servers,
            secret=options.shared_secret,
            retries=options.retries,
            retry_wait=options.retry_wait,
            require_message_authenticator=options.require_message_authenticator,
            nas_ip=options.nas_ip,
            nas_identifier=options.nas_identifier,
            returned=self._allowed(name, options.pass_through_attr_names, options.pass_through_all),
            hidden=self._attributes.hidden,
            lockout=LockoutRules(options.failures_per_user, options.failures_window),
            trust=trust,
            tls_name=options.ssl_server_name,
        )
        if trust is not None:
            for host in options.host:
                client_tls(options.ssl_server_name or host, trust)
        made_of = (settings, files_of(trust) if trust is not None else ())
        before = self._earlier.primaries.get(name) if self._earlier else None
        if isinstance(before, RadiusPart) and before.made_of == made_of:
            return before
        world = self._world
        primary = RadiusPrimary(
            settings,
            reactor=world.reactor,
            resolver=world.resolver,
            log=world.log,
            certificates=world.certificates,
        )
        return RadiusPart(made_of, primary)

    def _accounting(self, primaries: Mapping[str, PrimaryPart]) -> Iterator[tuple[str, AccountingPart]]:
        """By `radius_client` section, those that accounting is handed on to."""
        wanted = {options.accounting_client for options in self._config.all(RadiusServer).values()}
        for name, options in self._config.all(RadiusClient).items():
            part = primaries.get(name)
            if name not in wanted or not isinstance(part, RadiusPart):
                continue
            made_of = (part.made_of, options.accounting_servers)
            before = self._earlier.accounting.get(name) if self._earlier else None
            if before is not None and before.made_of == made_of:
                yield name, before
                continue
            settings = replace(
                part.primary.settings,
                hosts=options.accounting_servers,
                # RFC 3579 §3.3: there is none in accounting, and no decision to forge.
                require_message_authenticator=False,
            )
            world = self._world
            relay = RadiusAccounting(
                settings,
                reactor=world.reactor,
                resolver=world.resolver,
                log=world.log,
                certificates=world.certificates,
            )
            yield name, AccountingPart(made_of, relay)

    def _allowed(self, section: str, names: Sequence[str], everything: bool) -> Allowed:
        found = (self._key(section, "pass_through_attr_names", name) for name in names)
        return Allowed(frozenset(key for key in found if key is not None), everything)

    # ---- sections

    def _sections(self, primaries: Mapping[str, PrimaryPart]) -> Iterator[tuple[str, Section]]:
        for name, options in self._config.all(RadiusServer).items():
            attribute = self._key(name, "client_ip_attr", options.client_ip_attr)
            cloud = self._usable_cloud(name, options)
            primary = primaries.get(options.client) if options.client else NoPart()
            try:
                tls = eap_tls(options)
            except UnusableCertificate as unusable:
                self._problem(name, "certs", str(unusable))
                continue
            if tls is not None:
                self.expiries[f"{options.name} (EAP)"] = tls.not_after
            if cloud is not None and primary is not None:
                yield name, self._section(name, options, primary, cloud, attribute, tls)

    def _ldap_sections(self, primaries: Mapping[str, PrimaryPart]) -> Iterator[tuple[str, Section]]:
        for name, options in self._config.all(LdapServerAuto).items():
            cloud = self._usable_cloud(name, options)
            primary = primaries.get(options.client)
            try:
                tls = ldap.ldap_tls(options)
            except UnusableCertificate as unusable:
                self._problem(name, "ssl_cert_path", str(unusable))
                continue
            if tls is not None:
                self.expiries[f"{options.name} (LDAP)"] = tls.not_after
            if cloud is not None and isinstance(primary, DirectoryPart):
                yield name, self._ldap_section(name, options, primary, cloud, tls)

    def _usable_cloud(self, name: str, options: ServerSection) -> CloudPart | None:
        try:
            return self._cloud(name, options)
        except UnusableTrust as unusable:
            self._problem(name, "api_ca_certs_file", str(unusable))
            return None

    def _cloud(self, name: str, options: ServerSection) -> CloudPart:
        settings = cloud_settings(options)
        made_of = (settings, files_of(settings.trust))
        before = self._earlier.sections.get(name) if self._earlier else None
        if before is not None and before.cloud.made_of == made_of:
            return before.cloud
        return self._new_cloud(made_of, settings)

    def _new_cloud(self, made_of: object, settings: CloudSettings) -> CloudPart:
        world = self._world
        proven = Proven(settings, known=world.state.proven, key=world.state.key.reveal(), log=world.log)
        cloud = Cloud(
            settings,
            reactor=world.reactor,
            resolver=world.resolver,
            log=world.log,
            proven=proven,
            certificates=world.certificates,
            workload=world.workload,
        )
        probe = Probe(cloud.check, reactor=world.reactor, log=world.log)
        guarded = GuardedCloud(cloud, probe, section=settings.section, reactor=world.reactor, log=world.log)
        watch = DoorWatch(
            probe=probe,
            reactor=world.reactor,
            tell=world.doors.of(settings.section),
            log=world.log,
            count_answer=partial(world.state.allowances.answered, settings.section),
        )
        cloud.watched_by(watch)
        slow = SlowWatch(
            cloud.check,
            threshold=settings.slow_seconds,
            reactor=world.reactor,
            tell=world.doors.of(settings.section),
            log=world.log,
            quick_again=watch.quick_again,
        )
        cloud.timed_by(slow.took)
        return CloudPart(made_of, cloud, guarded, probe, proven, watch, slow)

    def _section(
        self,
        name: str,
        options: RadiusServer,
        primary: PrimaryPart,
        cloud: CloudPart,
        attribute: Key | None,
        tls: ServerTls | None,
    ) -> Section:
        policy = replace(section_policy(options, primary), grants=self._grants(name, options))
        directory = primary.primary if isinstance(primary, DirectoryPart) else None
        asked = self._grouping(primary, policy.grants.groups)
        approvals = self._world.approvals.of_section(0)
        pipeline, logins = self._decider(name, options, policy, asked, directory, cloud, approvals)
        radius: RadiusSection | EapSection
        radius = plain = RadiusSection(
            name=options.name,
            logins=logins,
            rejecter=pipeline,
            patience=options.login_patience,
            client_ip_attribute=attribute,
            trust_unsigned_client_ip=options.trust_unsigned_client_ip,
            password_codec=options.pw_codec,
            relayed=self._relayed(name, options, primary),
            stays_silent=lambda: options.failmode is FailMode.SILENT and cloud.guarded.is_open,
            awaits=self._world.challenges.awaits,
        )
        if isinstance(options, RadiusServerEap) and tls is not None:
            before = self._earlier.sections.get(name) if self._earlier else None
            radius = EapSection(
                plain,
                logins=logins,
                rejecter=pipeline,
                connect=partial(tls.serverConnectionForTLS, None),
                prompt=options.prompt,
                patience=options.login_patience,
                earlier=before.radius if before and isinstance(before.radius, EapSection) else None,
            )
        return Section(options, primary, cloud, pipeline, logins, radius=radius)

    def _ldap_section(
        self,
        name: str,
        options: LdapServerAuto,
        directory: DirectoryPart,
        cloud: CloudPart,
        tls: ServerTls | None,
    ) -> Section:
        policy = ldap.ldap_policy(options)
        approvals = self._world.approvals.of_section(options.approval_memory)
        binds = BindPrimary(directory.primary.guard, bare)
        pipeline, logins = self._decider(name, options, policy, binds, directory.primary, cloud, approvals)
        before = self._earlier.sections.get(name) if self._earlier else None
        same = before is not None and before.primary is directory
        section = LdapSection(
            name=options.name,
            options=ldap.ldap_options(options, directory.primary.settings.timeout),
            limits=ldap.ldap_limits(options),
            logins=logins,
            rejecter=pipeline,
            upstreams=ldap.upstreams(directory.primary, before.ldap if before else None, same),
            identities=ldap.identities(options, directory.primary, self._world.log),
            tls=tls,
            approvals=approvals,
            workload=self._world.workload,
        )
        return Section(options, directory, cloud, pipeline, logins, ldap=section)

    def _grants(self, name: str, options: RadiusServer) -> Grants:
        if not options.attributes:
            return Grants()
        return grants(options, self._attributes, partial(self._problem, name))

    def _grouping(self, primary: PrimaryPart, groups: frozenset[str]) -> Primary:
        if not groups or not isinstance(primary, DirectoryPart):
            return primary.primary
        return GroupingDirectory(primary.primary, Memberships(groups, clock=self._world.clock))

    def _decider(
        self,
        name: str,
        options: ServerSection,
        policy: Policy,
        primary: Primary,
        directory: Directory | None,
        cloud: CloudPart,
        approvals: SectionApprovals,
    ) -> tuple[Counted, Logins]:
        """What decides a section's logins."""
        world = self._world
        recorder = SectionRecorder(
            options.name,
            options.ikey,
            audit=world.audit,
            metrics=world.metrics,
            log=world.log,
            recent=world.recent,
        )
        door = section_door(
            options,
            directory,
            proven=cloud.proven,
            probe=cloud.probe,
            guarded=cloud.guarded,
            watch=cloud.watch,
            slow=cloud.slow,
            state=world.state,
            primary_only=world.primary_only,
            reactor=world.reactor,
            log=world.log,
        )
        second = SecondStep(
            policy,
            cloud.guarded,
            door,
            world.challenges,
            world.clock,
            Prompts(world.pushes, push_rules(self._config.main), options.api_host),
            approvals,
            is_slow=lambda: cloud.slow.is_slow,
        )
        failures = Failures(world.failures, failure_rules(options))
        groups = primary if isinstance(primary, GroupingDirectory) else None
        pipeline = Counted(
            Pipeline(policy, primary, second, recorder, world.clock, groups, failures), world.workload
        )
        logins = self._logins(name, options, pipeline)
        world.metrics.pending(options.name, logins.__len__)
        world.metrics.door(
            options.name,
            lambda: cloud.watch.open_since is not None,
            lambda: options.failmode is FailMode.SAFE and world.primary_only.until(options.name) is not None,
        )
        world.metrics.pace(
            options.api_host, lambda: cloud.slow.is_slow, lambda: cloud.cloud.health().latency or 0.0
        )
        world.metrics.breaker(options.api_host, lambda: cloud.guarded.is_open)
        return pipeline, logins

    def _relayed(self, name: str, options: RadiusServer, primary: PrimaryPart) -> Allowed | None:
        """What a RADIUS primary is shown of a NAS's request; None when the primary is none."""
        if not isinstance(primary, RadiusPart):
            return None
        return self._allowed(name, options.pass_through_attr_names, options.pass_through_all)

    def _logins(self, name: str, options: ServerSection, pipeline: Counted) -> Logins:
        """The earlier ones: a login that waits is joined also by what comes after a reload."""
        before = self._earlier.sections.get(name) if self._earlier else None
        if before is not None:
            before.logins.use(pipeline, options.denial_memory)
            return before.logins
        log = self._world.log

        def failed(request: AuthRequest, error: Exception) -> None:
            log.failure("login.failed", error, login=request.login, section=request.section)

        def joined(newcomer: AuthRequest, waiting: AuthRequest) -> None:
            log.info("login.joined", login=newcomer.login, waiting=waiting.login, client=newcomer.client)

        return Logins(
            pipeline,
            key=self._world.login_key,
            denial_memory=options.denial_memory,
            clock=self._world.clock,
            failed=failed,
            joined=joined,
        )

    def _key(self, section: str, option: str, name: str) -> Key | None:
        if (usual := _USUAL.get(name.lower())) is not None:
            return usual
        found = self._attributes.find(name)
        if found is None:
            known = suggestion(name, self._attributes.names())
            self._problem(section, option, f"no dictionary has an attribute {name}{known}")
            return None
        return found.key

    @property
    def _attributes(self) -> dictionary.Dictionary:
        if self._dictionary is None:
            folder = self._config.main.dictionary_dir
            self._dictionary = dictionary.load(read_dictionary_folder(folder) if folder else None)
        return self._dictionary

    # ---- ports

    def _ports(self, sections: Mapping[str, Section]) -> dict[Endpoint, PortPlan]:
        behind: dict[Endpoint, list[Behind]] = {}
        for section in sections.values():
            if isinstance(section.options, RadiusServer) and section.radius is not None:
                for endpoint in radius_endpoints(section.options):
                    behind.setdefault(endpoint, []).append(Behind(section.options, section.radius))
        return {endpoint: port_plan(sharing) for endpoint, sharing in behind.items()}

    def _accounting_ports(
        self, sections: Mapping[str, Section], accounting: Mapping[str, AccountingPart]
    ) -> dict[Endpoint, PortPlan]:
        behind: dict[Endpoint, list[Behind]] = {}
        for section in sections.values():
            if isinstance(section.options, RadiusServer) and section.radius is not None:
                shared = Behind(section.options, section.radius, _relay(section.options, accounting))
                for endpoint in accounting_endpoints(section.options):
                    behind.setdefault(endpoint, []).append(shared)
        return {endpoint: port_plan(sharing, ACCOUNTING) for endpoint, sharing in behind.items()}

    def _radsec_ports(
        self, sections: Mapping[str, Section], accounting: Mapping[str, AccountingPart]
    ) -> dict[Endpoint, RadSecPlan]:
        behind: dict[Endpoint, list[Behind]] = {}
        tls: dict[Endpoint, ServerTls] = {}
        for name, section in sections.items():
            if isinstance(section.options, RadiusServer) and section.radius is not None:
                mine = self._radsec_tls(name, section.options)
                if mine is None:
                    continue
                shared = Behind(section.options, section.radius, _relay(section.options, accounting))
                for endpoint in radsec_endpoints(section.options):
                    behind.setdefault(endpoint, []).append(shared)
                    tls.setdefault(endpoint, mine)
        return {
            endpoint: radsec_plan(sharing, port_limits(sharing), tls[endpoint])
            for endpoint, sharing in behind.items()
        }

    def _radsec_tls(self, name: str, options: RadiusServer) -> ServerTls | None:
        try:
            tls = radsec_tls(options)
        except UnusableCertificate as unusable:
            self._problem(name, "radsec_certificate_file", str(unusable))
            return None
        if tls is not None:
            self._world.certificates.note(f"{options.name} (RadSec)", tls.not_after)
        return tls

    def _ldap_ports(self, sections: Mapping[str, Section]) -> dict[Endpoint, LdapPlan]:
        return ldap.plans(
            [
                (section.options, section.ldap)
                for section in sections.values()
                if isinstance(section.options, LdapServerAuto) and section.ldap is not None
            ]
        )


def _relay(options: RadiusServer, accounting: Mapping[str, AccountingPart]) -> RadiusAccounting | None:
    part = accounting.get(options.accounting_client or "")
    return part.relay if part is not None else None


def port_plan(sharing: Sequence[Behind], codes: frozenset[int] = LOGINS) -> PortPlan:
    served = [
        (network, known)
        for behind in sharing
        for client in radius_clients(behind.options)
        for known in [Served(client, behind.section, behind.accounting)]
        for network in client.networks
    ]
    return PortPlan(PrefixTable(served), port_limits(sharing), codes)


def port_limits(sharing: Sequence[Behind]) -> Limits:
    """Sections that share a port share its limits: the strictest of each."""
    options = [behind.options for behind in sharing]
    return Limits(
        pending=min(each.max_pending for each in options),
        pending_per_client=min(each.max_pending_per_client for each in options),
        reject_delay=max(each.reject_delay for each in options),
        reply_cache=max(each.reply_cache for each in options),
    )


def radius_clients(options: RadiusServer) -> list[Client]:
    return [
        Client(
            name=client.name,
            key=f"{options.name}/{client.name}",
            networks=client.ip,
            secret=client.secret,
            require_message_authenticator=RequireMessageAuthenticator(
                client.require_message_authenticator or options.require_message_authenticator
            ),
            omit_message_authenticator=client.omit_message_authenticator,
        )
        for client in options.clients
    ]


def section_policy(options: RadiusServer, primary: PrimaryPart) -> Policy:
    policy = Policy(
        fail_mode=options.failmode,
        exempt=frozenset(canonical(name) for name in options.exempt_usernames),
        mark=_session_mark(options),
        slow_cloud=options.slow_cloud,
        radius_primary=isinstance(primary, RadiusPart),
        carries=isinstance(primary, RadiusPart) and primary.primary.returns,
        no_primary=isinstance(primary, NoPart),
    )
    match options:
        case RadiusServerAuto() | RadiusServerEap():
            return replace(policy, append=_append(options, options.allow_concat), factors=options.factors)
        case RadiusServerConcat():
            return replace(policy, mode=Mode.CONCAT, append=_append(options, True))
        case RadiusServerChallenge():
            return replace(
                policy,
                mode=Mode.CHALLENGE,
                prompt_format=options.prompt_format,
                enroll_challenge=options.enroll_challenge,
            )
        case RadiusServerDuoOnly():
            return replace(policy, mode=Mode.FACTOR_ONLY)
        case _:
            raise TypeError(f"no policy for {type(options).__name__}")


def _session_mark(options: RadiusServer) -> SessionMark | None:
    given = {
        CLASS: options.fail_open_class,
        FILTER_ID: options.fail_open_filter_id,
        REPLY_MESSAGE: options.fail_open_reply_message,
    }
    attributes = tuple(Attribute(type, text.encode()) for type, text in given.items() if text)
    return SessionMark(attributes) if attributes else None


def failure_rules(options: ServerSection) -> FailureRules:
    return FailureRules(
        station=options.failures_per_station if isinstance(options, RadiusServer) else 0,
        client=options.failures_per_client,
        window=options.failures_refill,
    )


def push_rules(main: Main) -> PushRules:
    return PushRules(main.push_limit, main.push_limit_window, main.push_limit_pause, main.push_fraud_pause)


def eap_tls(options: RadiusServer) -> ServerTls | None:
    """Raises UnusableCertificate."""
    if not isinstance(options, RadiusServerEap):
        return None
    minimum = TlsVersion(options.minimum_tls_version.value)
    return ServerTls(ServerFiles(options.certs, options.pkey, minimum, options.cipher_list))


def _append(options: Appending, enabled: bool) -> AppendMode:
    return AppendMode(enabled, options.delimiter.encode(), options.delimited_password_length)


def cloud_settings(options: ServerSection) -> CloudSettings:
    proxy = None
    if options.http_proxy_host is not None:
        proxy = OutboundProxy(
            options.http_proxy_host,
            options.http_proxy_port,
            options.http_proxy_username or "",
            options.http_proxy_password,
        )
    return CloudSettings(
        section=options.name,
        host=options.api_host,
        ikey=options.ikey,
        skey=options.skey,
        port=options.api_port,
        trust=Trust(ca_file=options.api_ca_certs_file),
        proxy=proxy,
        api_timeout=options.api_timeout,
        allow_local=options.allow_local_api,
        hostname=socket.gethostname(),
        slow_seconds=options.slow_cloud_seconds,
        limits=PoolLimits(connect_seconds=options.api_connect_timeout),
    )


def files_of(trust: Trust) -> tuple[object, ...]:
    """Changes when a certificate file does: a reload then takes the new one (T5). Raises UnusableTrust."""
    files = [path for path in (trust.ca_file, trust.client_certificate, trust.client_key) if path is not None]
    try:
        found = [path.stat() for path in files]
    except OSError as error:
        raise UnusableTrust(f"{error.filename}: {error.strerror}") from None
    return tuple((status.st_mtime_ns, status.st_ino, status.st_size) for status in found)


def radsec_trust(options: RadiusClient) -> Trust | None:
    """None: by UDP."""
    if options.transport is not RadiusTransport.RADSEC:
        return None
    return Trust(
        ca_file=options.ssl_ca_certs_file,
        client_certificate=options.ssl_client_cert_file,
        client_key=options.ssl_client_key_file,
    )


def directory_trust(options: AdClient) -> Trust:
    return Trust(
        ca_file=options.ssl_ca_certs_file,
        verify_hostname=options.ssl_verify_hostname,
        verify_depth=options.ssl_verify_depth,
        client_certificate=options.ssl_client_cert_file,
        client_key=options.ssl_client_key_file,
    )


def directory_settings(
    name: str, options: AdClient, trust: Trust, *, groups: tuple[str, ...] = ()
) -> DirectorySettings:
    """`groups`: those that sections have rules about. Raises ValueError."""
    plain = options.auth_type is model.AuthType.PLAIN
    service_name = (options.bind_dn if plain else None) or options.service_account_username or ""
    return DirectorySettings(
        name=name,
        hosts=tuple(Host(host, options.directory_port, options.ssl_server_name) for host in options.host),
        search_dn=options.search_dn,
        service_name=service_name,
        service_password=options.service_account_password,
        transport=Transport(options.transport.value),
        trust=trust,
        auth_type=AuthType(options.auth_type.value),
        ntlm_domain=options.ntlm_domain,
        ntlm_workstation=options.ntlm_workstation,
        username_attribute=options.username_attribute,
        at_attribute=options.at_attribute,
        security_group_dn=options.security_group_dn,
        ldap_filter=parse_filter(options.ldap_filter) if options.ldap_filter else None,
        groups=groups,
        lockout=LockoutRules(options.failures_per_user, options.failures_window),
        timeout=options.timeout,
    )
