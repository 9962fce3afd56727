"""Asks the cloud and the primaries with the daemon's own clients, so that what is tested is what runs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred

from authproxy.backends.cloud.cloud import Cloud
from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.examine import HostReport
from authproxy.backends.radius.servers import ServerReport
from authproxy.backends.resolve import NameUnresolved
from authproxy.cli.finding import Finding, Level
from authproxy.cli.probe_bypass import probe_bypass
from authproxy.config.load import Loaded
from authproxy.config.model import AdClient, Main, ServerSection, SharedState
from authproxy.listeners.admin.words import span
from authproxy.pipeline.ports import CloudFailure, FailureClass
from authproxy.service.building.builder import build
from authproxy.service.building.parts import DirectoryPart, NoPart, RadiusPart
from authproxy.service.building.world import World
from authproxy.service.checking import nobodys_world
from authproxy.service.shared_state import Unusable, examine

TIMEOUT = 10.0  # seconds for each question
_SILENCE = 3.0  # seconds for an answer to one datagram
# Seconds between the service's clock and ours. It takes some minutes (error 40105); more than a few seconds is odd.
_DRIFT_ODD, _DRIFT_BAD = 5, 60
EXPIRES_SOON = 60 * 86_400  # T4

_TODO = {
    FailureClass.UNREACHABLE: "does a firewall block it, or is an outbound proxy needed (http_proxy_host)?",
    FailureClass.UNTRUSTED: "api_ca_certs_file has to contain its CA; or somebody intercepts the connection",
    FailureClass.CREDENTIAL: "compare ikey, skey and api_host with those of the application at the service",
    FailureClass.SKEW: "set this machine's clock (NTP)",
}

Found = Callable[[Finding], None]


async def probe_backends(
    loaded: Loaded, reactor: Any, found: Found, waiting: Callable[[list[str]], None]
) -> None:
    """Tell `found` each outcome in the order of the file; `waiting` is told whose answers are outstanding.

    Everybody is asked at once. Raises InvalidConfig.
    """
    world = nobodys_world(reactor)
    built = build(loaded, world)
    tries: dict[str, Coroutine[Any, Any, list[Finding]]] = {}
    for name, part in built.primaries.items():
        match part:
            case DirectoryPart(_, directory):
                tls_name = loaded.config.all(AdClient)[name].ssl_server_name
                tries[name] = _directory(name, directory, tls_name, world)
            case RadiusPart():
                tries[name] = _radius(name, part, loaded, world)
            case NoPart():
                pass
    for name, section in built.sections.items():
        tries[name] = _all(_cloud(name, section.options, section.cloud.cloud, world))
    for name, options in loaded.config.all(SharedState).items():
        tries[name] = _shared_state(name, options, loaded.config.main, world)
    running = {name: Deferred.fromCoroutine(work) for name, work in tries.items()}
    try:
        for outcome in running.values():
            waiting([other for other, its in running.items() if not its.called])
            for finding in await outcome:
                found(finding)
    finally:
        await built.close()
        world.resolver.close()


async def _all(findings: AsyncIterator[Finding]) -> list[Finding]:
    return [finding async for finding in findings]


# ---- the cloud


async def _cloud(name: str, options: ServerSection, cloud: Cloud, world: World) -> AsyncIterator[Finding]:
    """Name, connection, clock, credentials; what hangs on a failed one isn't tried."""
    at = f"{name}: {options.api_host}"
    resolved = await _name(at, options, world)
    yield resolved
    if resolved.level is Level.FAILED:
        return
    began = world.clock()
    try:
        its_time = await cloud.ping(TIMEOUT)
    except CloudFailure as failure:
        yield _failed("cloud", at, failure)
        return
    seconds = world.clock() - began
    expiry = _expiry(world, options.api_host)
    answers = f"answers in {seconds * 1000:.0f} ms over TLS{expiry}"
    yield Finding(_expires(world, [options.api_host]), "cloud", at, answers, seconds)
    yield _clock(at, its_time - time.time())
    try:
        await cloud.check(TIMEOUT)
    except CloudFailure as failure:
        yield _failed("credentials", at, failure)
    else:
        yield Finding(Level.OK, "credentials", at, f"accepts those of {options.ikey}")


async def _name(at: str, options: ServerSection, world: World) -> Finding:
    host = options.http_proxy_host or options.api_host
    way = f" (the proxy {host} looks up the cloud's name)" if options.http_proxy_host else ""
    try:
        addresses = await world.resolver.addresses(host, TIMEOUT)
    except NameUnresolved as unresolved:
        return Finding(Level.FAILED, "name", at, str(unresolved))
    return Finding(Level.OK, "name", at, f"{host} is {', '.join(addresses)}{way}")


def _clock(at: str, drift: float) -> Finding:
    off = abs(drift)
    level = Level.OK if off < _DRIFT_ODD else Level.WARN if off < _DRIFT_BAD else Level.FAILED
    way = "behind" if drift > 0 else "ahead of"
    detail = "right, within a second" if off < 1 else f"this machine's is {off:.0f} s {way} the service's"
    return Finding(level, "clock", at, detail)


def _failed(what: str, at: str, failure: CloudFailure) -> Finding:
    todo = _TODO.get(failure.failure)
    detail = f"{failure.failure.value}: {failure.detail}"
    return Finding(Level.FAILED, what, at, f"{detail}; {todo}" if todo else detail)


# ---- what nodes share


async def _shared_state(name: str, options: SharedState, main: Main, world: World) -> list[Finding]:
    at = f"{name}: {options.host}:{options.port}"
    try:
        seconds = await examine(options, world, main)
    except Unusable as unusable:
        return [Finding(Level.FAILED, "shared state", at, str(unusable))]
    host = options.ssl_server_name or options.host
    detail = f"can be written to, within {seconds * 1000:.0f} ms{_expiry(world, host)}"
    return [Finding(_expires(world, [host]), "shared state", at, detail, seconds)]


# ---- directories


async def _directory(name: str, directory: Directory, tls_name: str | None, world: World) -> list[Finding]:
    reports = await directory.examine(TIMEOUT)
    return [finding for report in reports for finding in _host(name, report, tls_name, world)]


def _host(name: str, report: HostReport, tls_name: str | None, world: World) -> Iterable[Finding]:
    at = f"{name}: {report.host}"
    if report.problem:
        yield Finding(Level.FAILED, "directory", at, report.problem, report.seconds)
        return
    host = tls_name or report.host.rpartition(":")[0].strip("[]")
    kind = "Active Directory" if report.active_directory else "not Active Directory"
    detail = (
        f"the service account logs in within {report.seconds * 1000:.0f} ms and can read "
        f"search_dn; {kind}{_expiry(world, host)}"
    )
    yield Finding(_expires(world, [host]), "directory", at, detail, report.seconds)
    for warning in report.warnings:
        yield Finding(Level.WARN, "directory", at, warning)


# ---- RADIUS servers


async def _radius(name: str, part: RadiusPart, loaded: Loaded, world: World) -> list[Finding]:
    bypass = Deferred.fromCoroutine(probe_bypass(name, part, loaded, world, _SILENCE))
    found = [_server(name, report) for report in await part.primary.examine(_SILENCE)]
    return found + await bypass


def _server(name: str, report: ServerReport) -> Finding:
    at = f"{name}: {report.server}"
    if not report.problem:
        answers = f"answers Status-Server in {report.seconds * 1000:.0f} ms: the secret is right"
        return Finding(Level.OK, "radius", at, answers, report.seconds)
    # Many servers don't speak Status-Server, so silence proves nothing.
    todo = "if it doesn't support Status-Server, this is normal; otherwise compare secret, address and port"
    return Finding(Level.WARN, "radius", at, f"{report.problem}; {todo}")


# ---- certificates


def _expiry(world: World, host: str) -> str:
    at = world.certificates.expiries().get(host)
    return "" if at is None else f"; {said_of_expiry(at)}"


def _expires(world: World, hosts: Iterable[str]) -> Level:
    known = world.certificates.expiries()
    return level_of_expiry(min((known[host] for host in hosts if host in known), default=None))


def said_of_expiry(at: float) -> str:
    """`at`: seconds since 1970."""
    date = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    left = at - time.time()
    return f"certificate until {date}, {span(left)}" if left > 0 else f"certificate expired on {date}"


def level_of_expiry(at: float | None) -> Level:
    if at is None:
        return Level.OK
    left = at - time.time()
    return Level.FAILED if left <= 0 else Level.WARN if left < EXPIRES_SOON else Level.OK
