"""What the running service can tell of itself, and when it is ready.

**Ready** means: a login that comes now could end with an Accept for the right user. So every section has to
listen, its primary must not be known to be down, and its second step must have a way to yes: a cloud that isn't
known to be out of reach, or `failmode: safe`. A `secure` section without its cloud refuses everybody, so it isn't
ready: another node may have the way to the cloud that this one has lost, and should get the logins. A `safe` one is
ready, with a warning, because it lets people in. What was never asked is unknown, and unknown is not down: else a
node that gets no logins before it is ready would never become it. While draining nothing is ready.

Not ready takes no port away: whoever sends a login nevertheless gets its honest answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Protocol

from authproxy.observe.alarms.alarm import Alarm
from authproxy.observe.audit import AuditEvent
from authproxy.observe.lines import timestamp
from authproxy.pipeline.fail_mode import FailMode, SlowCloud
from authproxy.pipeline.patience import ClientPatience
from authproxy.values import light_dataclass


class Health(StrEnum):
    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"  # not asked yet


@light_dataclass(frozen=True, slots=True)
class HostState:
    """A server of a primary. `since`: seconds since 1970, None if unknown."""

    name: str  # HOST:PORT
    health: Health
    why: str = ""
    since: float | None = None


@light_dataclass(frozen=True, slots=True)
class PrimaryState:
    name: str  # the client section
    hosts: tuple[HostState, ...]

    @property
    def health(self) -> Health:
        """Of all hosts together: up if one is up, down only if all are down."""
        found = {host.health for host in self.hosts}
        if Health.UP in found:
            return Health.UP
        return Health.DOWN if found == {Health.DOWN} else Health.UNKNOWN


@light_dataclass(frozen=True, slots=True)
class CloudState:
    """A section's connection to its cloud. `breaker_open`: the cloud isn't asked, and `failmode` decides at once."""

    api_host: str
    health: Health
    why: str = ""
    since: float | None = None
    breaker_open: bool = False
    slow: bool = False  # it answers, too slowly
    latency: float | None = None  # seconds, of late

    @property
    def is_out(self) -> bool:
        return self.breaker_open or self.health is Health.DOWN


@light_dataclass(frozen=True, slots=True)
class SectionState:
    name: str
    kind: str  # the section's kind in the configuration
    listening: tuple[str, ...]  # ADDRESS:PORT; empty: it doesn't
    fail_mode: FailMode
    primary: PrimaryState | None  # None: there is none to ask
    cloud: CloudState | None  # None: there is none to ask
    pending: int = 0
    slow_cloud: SlowCloud = SlowCloud.WAIT
    shut_by: str = ""  # the limit that keeps a safe section shut although its cloud is away
    primary_only_until: float | None = None  # seconds since 1970; None: the second factor is on
    open_since: float | None = None  # since 1970: somebody passed the open door, and the cloud isn't back
    limits_reached: tuple[str, ...] = ()  # of the open door

    @property
    def is_open(self) -> bool:
        """A correct password alone is enough now. Never true in a section without a primary (F3)."""
        if self.primary is None or self.cloud is None or self.fail_mode is not FailMode.SAFE:
            return False
        if self.primary_only_until is not None:
            return True
        if self.shut_by:
            return False
        if self.cloud.is_out or self.open_since is not None:
            return True
        return self.cloud.slow and self.slow_cloud is SlowCloud.FAILMODE


@light_dataclass(frozen=True, slots=True)
class PendingLogin:
    """`since`: seconds since 1970."""

    login: str
    section: str
    user: str
    since: float
    factor: str | None = None
    client: str = ""
    nas_ip: str = ""
    client_ip: str | None = None


@light_dataclass(frozen=True, slots=True)
class CertificateState:
    """`not_after`: seconds since 1970."""

    name: str
    not_after: float


@light_dataclass(frozen=True, slots=True)
class ClientState:
    """A RADIUS client and its Message-Authenticators. Times: seconds since 1970, None for never; counts: since the
    start. `advice`: whether requiring one would lock it out (listeners.radius.signers.Advice).
    """

    section: str
    name: str
    require: str  # yes, auto, no
    latched: bool
    signed_since: float | None
    unsigned_at: float | None
    last_at: float | None
    signed_count: int
    unsigned_count: int
    advice: str


class Overview(Protocol):
    """What the service reports. It is asked whenever somebody looks; each answer is quick to make."""

    def draining(self) -> bool: ...

    def sections(self) -> Sequence[SectionState]: ...

    def pending(self) -> Iterable[PendingLogin]:
        """The oldest first."""

    def decisions(self) -> Iterable[AuditEvent]:
        """The newest first, as in Recent."""

    def fail_opens(self) -> Iterable[AuditEvent]: ...

    def fail_open_count(self) -> int:
        """Since the start."""

    def without_factor(self) -> Iterable[AuditEvent]: ...

    def certificates(self) -> Iterable[CertificateState]: ...

    def alarms(self) -> Iterable[Alarm]:
        """Newest first."""

    def clients(self) -> Iterable[ClientState]:
        """The RADIUS clients of every section, in the order of the configuration."""

    def patiences(self) -> Iterable[ClientPatience]:
        """What is known of how long RADIUS clients wait."""

    def troubles(self) -> Iterable[str]:
        """Other things on which an administrator may want to act, a sentence each: a log that can't be written, …"""


@light_dataclass(frozen=True, slots=True)
class Readiness:
    """`why`: what keeps it from being ready; `warnings`: what doesn't, but should be known."""

    ready: bool
    why: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def section_readiness(section: SectionState) -> Readiness:
    why: list[str] = []
    warnings: list[str] = []
    if not section.listening:
        why.append("not listening")
    if section.primary is not None:
        _look_at_primary(section.primary, why, warnings)
    if section.primary_only_until is not None:
        until = timestamp(section.primary_only_until)
        warnings.append(f"primary-only until {until}: THE DOOR IS OPEN, a password alone is enough")
    if section.cloud is not None:
        _look_at_cloud(section, section.cloud, why, warnings)
    if section.limits_reached:
        warnings.append(f"limits of the open door reached: {', '.join(section.limits_reached)}")
    return Readiness(not why, tuple(why), tuple(warnings))


def _look_at_primary(primary: PrimaryState, why: list[str], warnings: list[str]) -> None:
    down = [f"{host.name}: {host.why or 'down'}" for host in primary.hosts if host.health is Health.DOWN]
    if primary.health is Health.DOWN:
        why.append(f"primary {primary.name} is down ({'; '.join(down)})")
    elif down:
        warnings.append(f"primary {primary.name} lost a host ({'; '.join(down)})")


def _look_at_cloud(section: SectionState, cloud: CloudState, why: list[str], warnings: list[str]) -> None:
    if cloud.is_out or (section.open_since is not None and not cloud.slow):
        problem = f"cloud {cloud.api_host} is out of reach ({cloud.why or 'breaker open'})"
        if section.is_open:
            warnings.append(f"{problem}; failmode safe: THE DOOR IS OPEN, a password alone is enough")
        else:
            limit = f" any more ({section.shut_by})" if section.shut_by else ""
            why.append(f"{problem}: nobody is let in{limit}")
    elif cloud.slow:
        took = "" if cloud.latency is None else f", {cloud.latency:.1f} s of late"
        problem = f"degraded: cloud {cloud.api_host} answers slowly{took}; slow_cloud: {section.slow_cloud}"
        if section.is_open:
            warnings.append(f"{problem}; THE DOOR IS OPEN, a password alone is enough")
        elif section.slow_cloud is SlowCloud.FAILMODE:
            why.append(f"{problem}: nobody is let in")
        else:
            warnings.append(problem)


def readiness(overview: Overview) -> Readiness:
    """Of the whole: every section is ready, and it isn't draining."""
    sections = overview.sections()
    why = [f"{section.name}: {one}" for section in sections for one in section_readiness(section).why]
    warnings = [
        f"{section.name}: {one}" for section in sections for one in section_readiness(section).warnings
    ]
    if overview.draining():
        why.insert(0, "draining")
    return Readiness(not why, tuple(why), (*warnings, *overview.troubles()))
