"""Turns a section's options into the settings of what it asks (cloud, directory, RADIUS server) and of its own TLS."""

from __future__ import annotations

import socket

from authproxy.backends.cloud.pool import PoolLimits
from authproxy.backends.cloud.proxy import OutboundProxy
from authproxy.backends.cloud.settings import CloudSettings
from authproxy.backends.directory.settings import AuthType, DirectorySettings, Host, Transport
from authproxy.backends.lockout import LockoutRules
from authproxy.backends.tls import Trust, UnusableTrust
from authproxy.config import model
from authproxy.config.model import (
    AdClient,
    RadiusClient,
    RadiusServer,
    RadiusServerEap,
    RadiusTransport,
    ServerSection,
)
from authproxy.listeners.tls import ServerFiles, ServerTls, TlsVersion
from authproxy.protocols.ldap.filter_text import parse_filter


def eap_tls(options: RadiusServer) -> ServerTls | None:
    """None: the section doesn't answer EAP itself. Raises UnusableCertificate."""
    if not isinstance(options, RadiusServerEap):
        return None
    minimum = TlsVersion(options.minimum_tls_version.value)
    return ServerTls(ServerFiles(options.certs, options.pkey, minimum, options.cipher_list))


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
    """A value that changes when one of the certificate files changes, so that a reload takes the new one (T5). Raises
    UnusableTrust.
    """
    files = [path for path in (trust.ca_file, trust.client_certificate, trust.client_key) if path is not None]
    try:
        found = [path.stat() for path in files]
    except OSError as error:
        raise UnusableTrust(f"{error.filename}: {error.strerror}") from None
    return tuple((status.st_mtime_ns, status.st_ino, status.st_size) for status in found)


def radsec_trust(options: RadiusClient) -> Trust | None:
    """None: the transport is UDP."""
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
    """`groups`: the groups that rules of sections name. Raises ValueError."""
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
