"""Directories and RADIUS servers. A part is built anew if its options or files have changed; otherwise the earlier one
is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.settings import DirectorySettings
from authproxy.backends.lockout import LockoutRules
from authproxy.backends.radius.accounting import RadiusAccounting
from authproxy.backends.radius.primary import RadiusPrimary
from authproxy.backends.radius.settings import RadiusClientSettings
from authproxy.backends.radius.whose import OuterName
from authproxy.backends.tls import Trust, UnusableTrust, client_tls
from authproxy.config import model
from authproxy.config.model import AdClient, DuoOnlyClient, RadiusClient, RadiusServer
from authproxy.service.building.draft import Draft
from authproxy.service.building.parts import AccountingPart, DirectoryPart, NoPart, PrimaryPart, RadiusPart
from authproxy.service.building.settings import directory_settings, directory_trust, files_of, radsec_trust


class Primaries:
    """The primaries by section name, and the RADIUS servers for accounting."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def all(self) -> dict[str, PrimaryPart]:
        return {
            **dict(self._directories()),
            **dict(self._radius_servers()),
            **{name: NoPart() for name in self._draft.config.all(DuoOnlyClient)},
        }

    def accounting(self, primaries: Mapping[str, PrimaryPart]) -> Iterator[tuple[str, AccountingPart]]:
        """The relays for accounting, by `radius_client` section."""
        wanted = {options.accounting_client for options in self._draft.config.all(RadiusServer).values()}
        for name, options in self._draft.config.all(RadiusClient).items():
            part = primaries.get(name)
            if name not in wanted or not isinstance(part, RadiusPart):
                continue
            made_of = (part.made_of, options.accounting_servers)
            before = self._draft.earlier.accounting.get(name) if self._draft.earlier else None
            if before is not None and before.made_of == made_of:
                yield name, before
                continue
            settings = replace(
                part.primary.settings,
                hosts=options.accounting_servers,
                # RFC 3579 §3.3: there is none in accounting, and no decision to forge.
                require_message_authenticator=False,
            )
            world = self._draft.world
            relay = RadiusAccounting(
                settings,
                reactor=world.reactor,
                resolver=world.resolver,
                log=world.log,
                certificates=world.certificates,
            )
            yield name, AccountingPart(made_of, relay)

    # ---- directories

    def _directories(self) -> Iterator[tuple[str, DirectoryPart]]:
        for name, options in self._draft.config.all(AdClient).items():
            trust = directory_trust(options)
            if options.transport is not model.Transport.CLEAR and not self._usable(name, options, trust):
                continue
            try:
                settings = directory_settings(name, options, trust, groups=self._groups_asked(name))
            except ValueError as wrong:
                self._draft.problem(name, "", str(wrong))
                continue
            yield name, self._directory(name, settings)

    def _groups_asked(self, directory: str) -> tuple[str, ...]:
        sections = self._draft.config.all(RadiusServer).values()
        rules = [rule for section in sections if section.client == directory for rule in section.attributes]
        return tuple(dict.fromkeys(rule.group for rule in rules if rule.group))

    def _usable(self, name: str, options: AdClient, trust: Trust) -> bool:
        try:
            for host in options.host:
                client_tls(options.ssl_server_name or host, trust)
        except UnusableTrust as unusable:
            self._draft.problem(name, "ssl_ca_certs_file", str(unusable))
            return False
        return True

    def _directory(self, name: str, settings: DirectorySettings) -> DirectoryPart:
        """The earlier one if it is the same: it has connections, and knows which hosts are dead."""
        made_of = (settings, files_of(settings.trust))
        before = self._draft.earlier.primaries.get(name) if self._draft.earlier else None
        if isinstance(before, DirectoryPart) and before.made_of == made_of:
            return before
        world = self._draft.world
        directory = Directory(
            settings,
            reactor=world.reactor,
            resolver=world.resolver,
            log=world.log,
            certificates=world.certificates,
            shared=world.shared,
        )
        return DirectoryPart(made_of, directory)

    # ---- RADIUS servers

    def _radius_servers(self) -> Iterator[tuple[str, RadiusPart]]:
        for name, options in self._draft.config.all(RadiusClient).items():
            try:
                yield name, self._radius(name, options)
            except UnusableTrust as unusable:
                self._draft.problem(name, "ssl_ca_certs_file", str(unusable))

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
            returned=self._draft.allowed(name, options.pass_through_attr_names, options.pass_through_all),
            eap_outer_name=OuterName(options.eap_outer_name.value),
            hidden=self._draft.attributes.hidden,
            lockout=LockoutRules(options.failures_per_user, options.failures_window),
            trust=trust,
            tls_name=options.ssl_server_name,
        )
        if trust is not None:
            for host in options.host:
                client_tls(options.ssl_server_name or host, trust)
        made_of = (settings, files_of(trust) if trust is not None else ())
        before = self._draft.earlier.primaries.get(name) if self._draft.earlier else None
        if isinstance(before, RadiusPart) and before.made_of == made_of:
            return before
        world = self._draft.world
        primary = RadiusPrimary(
            settings,
            reactor=world.reactor,
            resolver=world.resolver,
            log=world.log,
            certificates=world.certificates,
            shared=world.shared,
        )
        return RadiusPart(made_of, primary)
