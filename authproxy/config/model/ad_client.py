"""`ad_client`: the primary is Active Directory or another LDAP directory."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from authproxy.config.model.section import Family, Finding, Section
from authproxy.config.options.addresses import Host
from authproxy.config.options.directory import AttributeName, DnOption, FilterOption
from authproxy.config.options.files import FileOption, KeyFileOption
from authproxy.config.options.secrets import SecretOption
from authproxy.config.options.simple import Flag, Listed, MaybeText, Port, Text, one_of, seconds, whole


class Transport(StrEnum):
    CLEAR = "clear"
    STARTTLS = "starttls"
    LDAPS = "ldaps"


class AuthType(StrEnum):
    NTLM2 = "ntlm2"
    PLAIN = "plain"


_OTHER_AUTH_TYPES = {
    "ntlm1": "ntlm1 is not served: NTLMv1 answers are cracked within a day; use ntlm2",
    "sspi": "sspi exists on Windows only; use ntlm2, or plain over ldaps, with a service account",
}


class AdClient(Section):
    """Checks passwords at a directory by LDAP: the service account looks the user up, then the password is tried."""

    host: Annotated[tuple[Host, ...], Listed] = Field(
        examples=[["dc1.corp.example", "dc2.corp.example"]],
        description="The directory's servers, in order of preference. In a `.cfg`: `host`, `host_2`, …",
    )
    port: Port | None = Field(
        default=None,
        examples=[636],
        description="The port of all hosts. If not set: 636 for `ldaps`, else 389.",
    )
    transport: Annotated[Transport, one_of(Transport)] = Field(
        default=Transport.LDAPS,
        description="`ldaps`: TLS from the start. `starttls`: TLS before the first bind. `clear`: no TLS. "
        "If not set in a `.cfg`: `clear`.",
    )
    auth_type: Annotated[AuthType, one_of(AuthType, _OTHER_AUTH_TYPES)] = Field(
        default=AuthType.NTLM2,
        description="`ntlm2`: NTLMv2, which signs and seals a connection without TLS; for Active Directory "
        "only. `plain`: a simple bind, for any directory; safe only with TLS.",
    )
    service_account_username: Text | None = Field(
        default=None,
        examples=["authproxy"],
        description="The account that looks users up: its name for `ntlm2`, or for `plain` a name such as "
        "svc@corp.example.",
    )
    service_account_password: SecretOption = Field(
        examples=[{"file": "bind-password"}], description="The password of that account."
    )
    bind_dn: Text | None = Field(
        default=None,
        examples=["CN=authproxy,OU=Service,DC=corp,DC=example"],
        description="The account's DN, for `plain`.",
    )
    ntlm_domain: MaybeText = Field(
        default="",
        examples=["CORP"],
        description="The NTLM domain of the service account, and of user names without a domain.",
    )
    ntlm_workstation: MaybeText = Field(
        default="", examples=["AUTHPROXY"], description="The workstation name to send with NTLM."
    )
    search_dn: DnOption = Field(
        examples=["DC=corp,DC=example"],
        description="Users are searched in this entry and everything below it. Users outside it can't log "
        "in.",
    )
    security_group_dn: DnOption | None = Field(
        default=None,
        examples=["CN=VPN,OU=Groups,DC=corp,DC=example"],
        description="If set, only members of this group may log in. Nested groups count.",
    )
    ldap_filter: FilterOption | None = Field(
        default=None,
        examples=["(!(department=Visitors))"],
        description="A filter (RFC 4515) that users also have to match.",
    )
    username_attribute: AttributeName = Field(
        default="sAMAccountName", description="The attribute that holds the user's name; for OpenLDAP: `uid`."
    )
    at_attribute: AttributeName = Field(
        default="userPrincipalName",
        description="The attribute that is searched if the name contains an @; for OpenLDAP: `mail`.",
    )
    timeout: Annotated[float, seconds(1, 120)] = Field(
        default=10, description="How long one login may take at the directory, all hosts together."
    )
    failures_per_user: Annotated[int, whole(0, 1000)] = Field(
        default=4,
        description="How many wrong passwords of one user are tried within `failures_window`, in all "
        "sections together. Further attempts are rejected without asking the directory. Keep it below the "
        "number that locks an account there. The last attempt is reserved for places from which the user "
        "has logged in before. 0: no limit.",
    )
    failures_window: Annotated[float, seconds(10, 86400)] = Field(
        default=900,
        description="The period over which wrong passwords are counted. A right password ends the count.",
    )
    ssl_ca_certs_file: FileOption | None = Field(
        default=None,
        examples=["ca.pem"],
        description="CA certificates (PEM) that verify the directory's certificate. If not set: the "
        "system's.",
    )
    ssl_verify_hostname: Flag = Field(
        default=True,
        description="`false`: accept any name in the directory's certificate. Its issuer is still verified.",
    )
    ssl_verify_depth: Annotated[int, whole(1, 100)] = Field(
        default=9, description="The maximum number of certificates in a chain."
    )
    ssl_server_name: Host | None = Field(
        default=None,
        examples=["dc.corp.example"],
        description="The name that the hosts' certificates have to contain, if the hosts are given by "
        "address.",
    )
    ssl_client_cert_file: FileOption | None = Field(
        default=None,
        examples=["proxy.pem"],
        description="The certificate to show to a directory that asks for one (PEM), with its chain.",
    )
    ssl_client_key_file: KeyFileOption | None = Field(
        default=None, examples=["proxy.key"], description="The private key of `ssl_client_cert_file` (PEM)."
    )

    CFG_DEFAULTS: ClassVar = {"transport": "clear", "auth_type": "ntlm2"}
    FAMILIES: ClassVar = (Family("host", "host", bare=True),)
    IGNORED: ClassVar = {"domain_discovery": "the domain is taken from `search_dn` and the user's name"}

    @property
    def directory_port(self) -> int:
        return self.port or (636 if self.transport is Transport.LDAPS else 389)

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        if self.auth_type is AuthType.NTLM2 and self.service_account_username is None:
            yield Finding(
                "service_account_username", "missing: ntlm2 logs in with a name; with a DN use plain"
            )
        if self.auth_type is AuthType.PLAIN and self.bind_dn is None:
            name = self.service_account_username or ""
            if not any(mark in name for mark in "@\\="):
                yield Finding("bind_dn", "missing: plain binds with the service account's DN")
        if (self.ssl_client_cert_file is None) != (self.ssl_client_key_file is None):
            yield Finding(
                "ssl_client_cert_file", "ssl_client_cert_file and ssl_client_key_file have to be set together"
            )

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        if self.transport is Transport.CLEAR:
            if self.auth_type is AuthType.PLAIN:
                yield Finding(
                    "transport", "clear with plain: every password crosses the network unencrypted; use ldaps"
                )
            return
        if not self.ssl_verify_hostname:
            yield Finding(
                "ssl_verify_hostname",
                "false: whoever has a certificate of the same CA can impersonate the directory",
            )
        if self.ssl_ca_certs_file is None:
            yield Finding(
                "transport", "no ssl_ca_certs_file: the directory's CA has to be in the system's store"
            )
