"""What can be configured. The classes are the reference of every option: `docs/options.md` is made from them."""

from authproxy.config.model.ad_client import AdClient, AuthType, Transport
from authproxy.config.model.config import Config
from authproxy.config.model.http_proxy import HttpProxy
from authproxy.config.model.ldap_server import LdapServerAuto
from authproxy.config.model.main import FilePermissions, LogFormat, Main
from authproxy.config.model.radius_client import DuoOnlyClient, RadiusClient, RadiusTransport
from authproxy.config.model.radius_modes import (
    Appending,
    RadiusServerAuto,
    RadiusServerChallenge,
    RadiusServerConcat,
    RadiusServerDuoOnly,
    RadiusServerEap,
)
from authproxy.config.model.radius_server import Client, RadiusServer, RequireMessageAuthenticator
from authproxy.config.model.section import Section
from authproxy.config.model.server import ServerSection
from authproxy.config.model.shared_state import SharedState, StoreTransport
from authproxy.config.options.tls import MinimumTls

__all__ = [
    "AdClient",
    "Appending",
    "AuthType",
    "Client",
    "Config",
    "DuoOnlyClient",
    "FilePermissions",
    "HttpProxy",
    "LdapServerAuto",
    "LogFormat",
    "Main",
    "MinimumTls",
    "RadiusClient",
    "RadiusServer",
    "RadiusServerAuto",
    "RadiusServerChallenge",
    "RadiusServerConcat",
    "RadiusServerDuoOnly",
    "RadiusServerEap",
    "RadiusTransport",
    "RequireMessageAuthenticator",
    "Section",
    "ServerSection",
    "SharedState",
    "StoreTransport",
    "Transport",
]
