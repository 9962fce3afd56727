"""The kinds of sections that are supported, and those that never will be. A new kind is a line in SERVED."""

from __future__ import annotations

from collections.abc import Mapping

from authproxy.config.model.ad_client import AdClient
from authproxy.config.model.http_proxy import HttpProxy
from authproxy.config.model.ldap_server import LdapServerAuto
from authproxy.config.model.main import Main
from authproxy.config.model.radius_client import DuoOnlyClient, RadiusClient
from authproxy.config.model.radius_modes import (
    RadiusServerAuto,
    RadiusServerChallenge,
    RadiusServerConcat,
    RadiusServerDuoOnly,
    RadiusServerEap,
)
from authproxy.config.model.section import Section
from authproxy.config.model.shared_state import SharedState

SERVED: Mapping[str, type[Section]] = {
    "main": Main,
    "ad_client": AdClient,
    "radius_client": RadiusClient,
    "duo_only_client": DuoOnlyClient,
    "radius_server_auto": RadiusServerAuto,
    "ldap_server_auto": LdapServerAuto,
    "radius_server_challenge": RadiusServerChallenge,
    "radius_server_concat": RadiusServerConcat,
    "radius_server_duo_only": RadiusServerDuoOnly,
    "radius_server_eap": RadiusServerEap,
    "http_proxy": HttpProxy,
    "shared_state": SharedState,
}

# Kinds whose sections can be the primary of a server section.
PRIMARIES = ("ad_client", "radius_client", "duo_only_client")
# Kinds that stand there once.
SINGLE = frozenset({"main", "shared_state"})


REFUSED: Mapping[str, str] = {
    "radius_server_iframe": "the cloud switched off the prompt inside the VPN's web page in March 2024; use "
    "radius_server_auto",
    "cloud": "directory synchronisation is not part of this proxy, and no login needs it; remove the section and "
    "use another tool to synchronise",
    "sso": "single sign-on is not part of this proxy; remove the section",
}

ALL_KINDS = (*SERVED, *REFUSED)


def kind_of(section: str) -> str:
    """The kind is the section's name without its digits."""
    return section.rstrip("0123456789")
