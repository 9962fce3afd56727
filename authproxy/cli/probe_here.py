"""Tests what the daemon needs on this machine: folders, ports, its own certificates. Nothing is created or changed."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from authproxy.backends.tls import UnusableTrust, read_certificates
from authproxy.cli.admin_client import AdminClient, NotAnswering
from authproxy.cli.finding import Finding, Level
from authproxy.cli.ldap_client import LdapClient, NotThere, ldap_way
from authproxy.cli.port_holder import holder_of
from authproxy.cli.probe_backends import level_of_expiry, said_of_expiry
from authproxy.cli.radius_client import NoAnswer, RadiusClient
from authproxy.cli.radius_way import Unusable, find_way
from authproxy.config.load import Loaded
from authproxy.config.model import HttpProxy, LdapServerAuto, Main, RadiusServer
from authproxy.config.options.addresses import Endpoint
from authproxy.listeners.radius import udp
from authproxy.service.ports import (
    http_proxy_endpoints,
    ldap_endpoints,
    listen,
    radius_endpoints,
    radsec_endpoints,
)

_PATIENCE = 2.0  # seconds: whoever holds a port on this machine answers at once
_LITTLE = 100 * 1024 * 1024  # octets


def probe_here(loaded: Loaded) -> Iterator[Finding]:
    main = loaded.config.main
    yield _folder("state_dir", main.state_dir)
    yield _folder("log_dir", main.log_dir)
    if main.admin_tls_cert is not None:
        yield _certificate(main.admin_tls_cert)
    yield from _radius(loaded)
    yield from _ldap(loaded)
    yield from _http_proxy(loaded)
    if main.admin is not None:
        yield _admin(main, main.admin)


def _folder(option: str, path: Path) -> Finding:
    """Only looked at: made by whoever runs this command, it would not be the daemon's."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    room = shutil.disk_usage(existing).free
    free = f"{room / 1024**3:.1f} GB free"
    if room < _LITTLE:
        return Finding(Level.FAILED, option, str(path), f"only {room // 1024**2} MB free")
    if existing != path:
        return Finding(
            Level.OK, option, str(path), f"doesn't exist yet; it is made at the first start; {free}"
        )
    if not path.is_dir():
        return Finding(Level.FAILED, option, str(path), "not a folder")
    status = path.stat()
    if os.geteuid() not in (0, status.st_uid):
        detail = (
            f"belongs to user {status.st_uid}, so it can't be tested here whether the daemon can "
            f"write to it; {free}"
        )
        return Finding(Level.OK, option, str(path), detail)
    if not os.access(path, os.W_OK | os.X_OK):
        return Finding(Level.FAILED, option, str(path), "can't be written")
    return Finding(Level.OK, option, str(path), f"can be written; {free}")


def _certificate(path: Path, option: str = "admin_tls_cert") -> Finding:
    try:
        at = read_certificates(path)[0].not_valid_after_utc.timestamp()
    except UnusableTrust as unusable:
        return Finding(Level.FAILED, option, str(path), str(unusable))
    return Finding(level_of_expiry(at), option, str(path), said_of_expiry(at))


# ---- ports


def _radius(loaded: Loaded) -> Iterator[Finding]:
    sections = loaded.config.all(RadiusServer)
    seen: set[Endpoint] = set()
    for name, section in sections.items():
        for endpoint in radius_endpoints(section):
            if endpoint.port and endpoint not in seen:
                seen.add(endpoint)
                yield _radius_port(name, endpoint, sections, loaded.path)
    over_tls: dict[Endpoint, str] = {}
    for name, section in sections.items():
        for endpoint in radsec_endpoints(section):
            if endpoint.port and over_tls.setdefault(endpoint, name) == name:
                yield _tcp_port(name, endpoint)
        if section.radsec_clients and section.radsec_certificate_file is not None:
            yield _certificate(section.radsec_certificate_file, f"{name}: radsec_certificate_file")


def _ldap(loaded: Loaded) -> Iterator[Finding]:
    seen: set[Endpoint] = set()
    for name, section in loaded.config.all(LdapServerAuto).items():
        if section.ssl_cert_path is not None:
            yield _certificate(section.ssl_cert_path, "ssl_cert_path")
        for endpoint, at_once in ldap_endpoints(section).items():
            if endpoint.port and endpoint not in seen:
                seen.add(endpoint)
                yield _ldap_port(
                    f"{name}: tcp {endpoint.host or '*'}:{endpoint.port}", section, endpoint, at_once
                )


def _http_proxy(loaded: Loaded) -> Iterator[Finding]:
    for name, section in loaded.config.all(HttpProxy).items():
        for endpoint in http_proxy_endpoints(section):
            if endpoint.port:
                yield _tcp_port(name, endpoint)


def _ldap_port(at: str, section: LdapServerAuto, endpoint: Endpoint, at_once: bool) -> Finding:
    """The root DSE is read, which everybody may and which costs no login."""
    error = _bind_tcp(endpoint)
    if error is None:
        return Finding(Level.OK, "port", at, "free")
    if error.errno != errno.EADDRINUSE:
        return _cannot_bind(at, error)
    holder = holder_of(endpoint.port, "tcp")
    by = f" by {holder}" if holder else ""
    try:
        way = ldap_way(section)
        way = replace(
            way, server=(way.server[0], endpoint.port), certificate=way.certificate if at_once else None
        )
        with LdapClient(way) as client:
            client.root(_PATIENCE)
    except NotThere as wrong:
        return Finding(Level.FAILED, "port", at, f"in use{by}: {wrong}")
    return Finding(Level.OK, "port", at, f"LDAP is answered{f' ({holder})' if holder else ''}")


def _bind_tcp(endpoint: Endpoint) -> OSError | None:
    """Why it can't be bound."""
    host = endpoint.host or "::"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, endpoint.port))
        except OSError as error:
            return error
    return None


def _radius_port(name: str, endpoint: Endpoint, sections: Mapping[str, RadiusServer], file: Path) -> Finding:
    at = f"{name}: udp {endpoint.host or '*'}:{endpoint.port}"
    try:
        udp.bind(endpoint.host, endpoint.port).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return _cannot_bind(at, error)
        return _held(at, name, endpoint, sections, file)
    return Finding(Level.OK, "port", at, "free")


def _tcp_port(name: str, endpoint: Endpoint) -> Finding:
    at = f"{name}: tcp {endpoint.host or '*'}:{endpoint.port}"
    try:
        listen(endpoint).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return _cannot_bind(at, error)
        # RadSec answers no one without a certificate, http_proxy no one but its clients: this command is neither.
        holder = holder_of(endpoint.port, "tcp")
        mine = holder is not None and holder.is_authproxy
        return Finding(
            Level.OK if mine else Level.WARN, "port", at, f"in use by {holder}" if holder else "in use"
        )
    return Finding(Level.OK, "port", at, "free")


def _cannot_bind(at: str, error: OSError) -> Finding:
    if error.errno == errno.EACCES and os.geteuid() != 0:
        return Finding(
            Level.WARN, "port", at, "this user can't open it; the daemon needs CAP_NET_BIND_SERVICE"
        )
    return Finding(Level.FAILED, "port", at, error.strerror or "can't be opened")


def _held(
    at: str, name: str, endpoint: Endpoint, sections: Mapping[str, RadiusServer], file: Path
) -> Finding:
    """By our daemon, if it answers as a client's server does (RFC 5997)."""
    holder = holder_of(endpoint.port, "udp")
    by = f" by {holder}" if holder else ""
    try:
        way = find_way(sections, file, section=name, server=None, source="", timeout=_PATIENCE)
        with RadiusClient(way.server, way.client.secret, source=way.source) as client:
            client.status(way.timeout)
    except (Unusable, OSError):
        # No client of the section can be played from here, so nobody can be asked.
        mine = holder is not None and holder.is_authproxy
        return Finding(Level.OK if mine else Level.WARN, "port", at, f"in use{by}")
    except NoAnswer:
        detail = f"in use{by}, which doesn't answer as authproxy with this configuration would"
        return Finding(Level.FAILED, "port", at, detail)
    return Finding(Level.OK, "port", at, f"authproxy answers{f' ({holder})' if holder else ''}")


def _admin(main: Main, endpoint: Endpoint) -> Finding:
    at = f"main.admin: tcp {endpoint}"
    error = _bind_tcp(endpoint)
    if error is None:
        return Finding(Level.OK, "port", at, "free: authproxy isn't running")
    if error.errno != errno.EADDRINUSE:
        return _cannot_bind(at, error)
    client = AdminClient.of(main)
    try:
        body = client.status() if client is not None else {}
    except NotAnswering as silent:
        holder = holder_of(endpoint.port, "tcp")
        by = f" by {holder}" if holder else ""
        return Finding(Level.FAILED, "port", at, f"in use{by}: {silent}")
    if body.get("ready"):
        return Finding(Level.OK, "port", at, "authproxy is running and ready")
    return Finding(
        Level.WARN, "port", at, f"authproxy is running, but not ready: {'; '.join(body.get('why', ()))}"
    )
