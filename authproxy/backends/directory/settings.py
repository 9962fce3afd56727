"""The settings of a directory. Everything that can be wrong in them is found here, before anything starts."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from authproxy.backends.lockout import LockoutRules
from authproxy.backends.tls import Trust
from authproxy.protocols.ldap.dn import Subtree, parse_dn
from authproxy.protocols.ldap.filter import Filter
from authproxy.secret import Secret
from authproxy.values import light_dataclass


class Transport(StrEnum):
    LDAPS = "ldaps"
    STARTTLS = "starttls"
    CLEAR = "clear"


class AuthType(StrEnum):
    """How accounts prove themselves: a simple bind, or NTLMv2 inside GSS-SPNEGO."""

    PLAIN = "plain"
    NTLM2 = "ntlm2"


@light_dataclass(frozen=True, slots=True)
class Host:
    """One server. `tls_name`: what its certificate says when that isn't `address` (T6)."""

    address: str  # a name or an address
    port: int
    tls_name: str | None = None

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@light_dataclass(frozen=True, slots=True)
class Limits:
    """Connections are kept for each host; the waiting are counted for each kind of them. Times in seconds."""

    service_connections: int = 4
    user_connections: int = 16
    # More than the listeners let in at once: it is they who shed, and silently.
    waiting: int = 2048
    # Active Directory closes a connection after 900 s without a request.
    service_idle: float = 600
    # A password must not be sent into a connection that a firewall has forgotten.
    user_idle: float = 60
    age: float = 3600


@light_dataclass(frozen=True, slots=True)
class DirectorySettings:
    """`timeout`: seconds for one login at the directory, all hosts together (A6).

    `service_name`: a DN, or whatever else the directory takes in a bind; for NTLM2 `user`, `DOMAIN\\user` or
    `user@domain`, to which `ntlm_domain` is added where it has no domain.
    """

    name: str  # the section's, for logs
    hosts: tuple[Host, ...]
    search_dn: str
    service_name: str
    service_password: Secret = field(repr=False)
    transport: Transport = Transport.LDAPS
    trust: Trust = field(default_factory=Trust)
    auth_type: AuthType = AuthType.PLAIN
    ntlm_domain: str = ""
    ntlm_workstation: str = ""
    username_attribute: str = "sAMAccountName"
    at_attribute: str = "userPrincipalName"
    security_group_dn: str | None = None
    ldap_filter: Filter | None = None
    groups: tuple[str, ...] = ()  # DNs of those that sections ask about a user
    timeout: float = 10
    limits: Limits = field(default_factory=Limits)
    lockout: LockoutRules = field(default_factory=LockoutRules)

    def __post_init__(self) -> None:
        """Raises ValueError (MalformedDN among them)."""
        if not self.hosts:
            raise ValueError("host: at least one")
        if not self.service_password:
            # RFC 4513 §5.1.2: it would be an anonymous bind that says it succeeded.
            raise ValueError("service_account_password: empty")
        if not self.service_name:
            raise ValueError("service_account_username or bind_dn: empty")
        parse_dn(self.search_dn)
        for group in (self.security_group_dn, *self.groups):
            if group is not None:
                parse_dn(group)

    @property
    def subtree(self) -> Subtree:
        return Subtree(self.search_dn)
