"""What can be configured. The classes are the reference of every option: `docs/options.md` is made from them."""

from authproxy.config.model.ad_client import AdClient, AuthType, Transport
from authproxy.config.model.config import Config
from authproxy.config.model.ldap_server import LdapServerAuto, MinimumTls
from authproxy.config.model.main import FilePermissions, LogFormat, Main
from authproxy.config.model.radius_server import (
    Client,
    RadiusServer,
    RadiusServerAuto,
    RequireMessageAuthenticator,
)
from authproxy.config.model.section import Section
from authproxy.config.model.server import ServerSection

__all__ = [
    "AdClient",
    "AuthType",
    "Client",
    "Config",
    "FilePermissions",
    "LdapServerAuto",
    "LogFormat",
    "Main",
    "MinimumTls",
    "RadiusServer",
    "RadiusServerAuto",
    "RequireMessageAuthenticator",
    "Section",
    "ServerSection",
    "Transport",
]
