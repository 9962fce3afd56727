"""Server sections: a primary, a cloud, what decides, and what listens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from authproxy.backends.directory.counted import CountedNames
from authproxy.backends.directory.memberships import GroupingDirectory, Memberships
from authproxy.config.model import LdapServerAuto, RadiusServer, RadiusServerEap
from authproxy.listeners.ldap.attempt import BindPrimary
from authproxy.listeners.ldap.section import LdapSection
from authproxy.listeners.radius.eap_section import EapSection
from authproxy.listeners.radius.section import RadiusSection
from authproxy.listeners.tls import ServerTls, UnusableCertificate
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.grants import Grants
from authproxy.pipeline.ports import Primary
from authproxy.protocols.radius.relay import Allowed
from authproxy.protocols.radius.vendor import Key
from authproxy.service import ldap
from authproxy.service.building.clouds import usable_cloud
from authproxy.service.building.deciding import Deciding
from authproxy.service.building.draft import Draft
from authproxy.service.building.parts import (
    CloudPart,
    DirectoryPart,
    NoPart,
    PrimaryPart,
    RadiusPart,
    Section,
)
from authproxy.service.building.policies import section_policy
from authproxy.service.building.settings import eap_tls
from authproxy.service.grants import grants


class Sections:
    """The server sections, by name."""

    def __init__(self, draft: Draft, primaries: Mapping[str, PrimaryPart]) -> None:
        self._draft = draft
        self._primaries = primaries
        self._deciding = Deciding(draft)

    def all(self) -> dict[str, Section]:
        sections = {**dict(self._radius_sections()), **dict(self._ldap_sections())}
        self._draft.when_started(lambda: self._end_earlier(sections))
        return sections

    def _end_earlier(self, sections: Mapping[str, Section]) -> None:
        """What has been approved counts no more, and a section that is gone opens nothing any more."""
        earlier = self._draft.earlier.sections if self._draft.earlier else {}
        for name, section in earlier.items():
            if section.ldap is not None:
                section.ldap.approvals.end()
            if name not in sections:
                section.present.end()

    def _radius_sections(self) -> Iterator[tuple[str, Section]]:
        for name, options in self._draft.config.all(RadiusServer).items():
            attribute = self._draft.key(name, "client_ip_attr", options.client_ip_attr)
            cloud = usable_cloud(self._draft, name, options)
            primary = self._primaries.get(options.client) if options.client else NoPart()
            try:
                tls = eap_tls(options)
            except UnusableCertificate as unusable:
                self._draft.problem(name, "certs", str(unusable))
                continue
            if tls is not None:
                self._draft.expiries[f"{options.name} (EAP)"] = tls.not_after
            if cloud is not None and primary is not None:
                yield name, self._section(name, options, primary, cloud, attribute, tls)

    def _ldap_sections(self) -> Iterator[tuple[str, Section]]:
        for name, options in self._draft.config.all(LdapServerAuto).items():
            cloud = usable_cloud(self._draft, name, options)
            primary = self._primaries.get(options.client)
            try:
                tls = ldap.ldap_tls(options)
            except UnusableCertificate as unusable:
                self._draft.problem(name, "ssl_cert_path", str(unusable))
                continue
            if tls is not None:
                self._draft.expiries[f"{options.name} (LDAP)"] = tls.not_after
            if cloud is not None and isinstance(primary, DirectoryPart):
                yield name, self._ldap_section(name, options, primary, cloud, tls)

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
        asked = self._grouping(primary, policy.grants.groups)
        approvals = self._draft.world.approvals.of_section(0)
        pipeline, logins, present = self._deciding.of(name, options, policy, primary, asked, cloud, approvals)
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
            awaits=self._draft.world.challenges.awaits,
        )
        if isinstance(options, RadiusServerEap) and tls is not None:
            before = self._draft.earlier_section(name)
            radius = EapSection(
                plain,
                logins=logins,
                rejecter=pipeline,
                connect=partial(tls.serverConnectionForTLS, None),
                prompt=options.prompt,
                patience=options.login_patience,
                earlier=before.radius if before and isinstance(before.radius, EapSection) else None,
            )
        return Section(options, primary, cloud, pipeline, logins, present, radius=radius)

    def _ldap_section(
        self,
        name: str,
        options: LdapServerAuto,
        directory: DirectoryPart,
        cloud: CloudPart,
        tls: ServerTls | None,
    ) -> Section:
        policy = ldap.ldap_policy(options, directory.primary)
        approvals = self._draft.world.approvals.of_section(options.approval_memory)
        counted = CountedNames(directory.primary, clock=self._draft.world.clock)
        binds = BindPrimary(directory.primary.guard, counted.of)
        pipeline, logins, present = self._deciding.of(
            name, options, policy, directory, binds, cloud, approvals
        )
        before = self._draft.earlier_section(name)
        same = before is not None and before.primary is directory
        section = LdapSection(
            name=options.name,
            options=ldap.ldap_options(options, directory.primary.settings.timeout),
            limits=ldap.ldap_limits(options),
            logins=logins,
            rejecter=pipeline,
            upstreams=ldap.upstreams(directory.primary, before.ldap if before else None, same),
            identities=ldap.identities(options, directory.primary, self._draft.world.log),
            tls=tls,
            approvals=approvals,
            workload=self._draft.world.workload,
        )
        return Section(options, directory, cloud, pipeline, logins, present, ldap=section)

    def _grants(self, name: str, options: RadiusServer) -> Grants:
        if not options.attributes:
            return Grants()
        return grants(options, self._draft.attributes, partial(self._draft.problem, name))

    def _grouping(self, primary: PrimaryPart, groups: frozenset[str]) -> Primary:
        if not groups or not isinstance(primary, DirectoryPart):
            return primary.primary
        return GroupingDirectory(primary.primary, Memberships(groups, clock=self._draft.world.clock))

    def _relayed(self, name: str, options: RadiusServer, primary: PrimaryPart) -> Allowed | None:
        """What a RADIUS primary is shown of a NAS's request; None when the primary is none."""
        if not isinstance(primary, RadiusPart):
            return None
        return self._draft.allowed(name, options.pass_through_attr_names, options.pass_through_all)
