"""`ldap_server_auto`: LDAP applications, whose binds get a second factor."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field

from authproxy.config.model.main import Main
from authproxy.config.model.section import Family, Finding
from authproxy.config.model.server import ServerSection
from authproxy.config.options.addresses import Networks
from authproxy.config.options.directory import DnOption
from authproxy.config.options.files import FileOption, KeyFileOption
from authproxy.config.options.simple import (
    Flag,
    Listed,
    ListedWords,
    ListenPort,
    Text,
    one_of,
    seconds,
    whole,
)
from authproxy.config.options.tls import OLD_TLS, MinimumTls
from authproxy.pipeline.approvals import LONGEST_MEMORY
from authproxy.pipeline.factor import Factor
from authproxy.pipeline.fail_mode import FailMode


class CloudUsername(StrEnum):
    """Whom the cloud is asked about."""

    ATTRIBUTE = "attribute"
    TYPED = "typed"


class LdapServerAuto(ServerSection):
    """Answers LDAP applications. A bind goes to the directory first, then needs a factor; all else is relayed."""

    port: ListenPort = Field(
        default=389,
        description="The TCP port, also for StartTLS; 0: any free port, which the `ready` line names.",
    )
    ssl_port: ListenPort = Field(
        default=636, description="The port for LDAPS. It is open only if there is a certificate."
    )
    ssl_cert_path: FileOption | None = Field(
        default=None,
        examples=["ldap.pem"],
        description="The certificate for StartTLS and LDAPS (PEM), with its chain. A reload reads it again.",
    )
    ssl_key_path: KeyFileOption | None = Field(
        default=None, examples=["ldap.key"], description="The private key of `ssl_cert_path` (PEM)."
    )
    minimum_tls_version: Annotated[MinimumTls, one_of(MinimumTls, OLD_TLS)] = Field(
        default=MinimumTls.TLS12, description="The oldest TLS version that clients may use."
    )
    cipher_list: Text | None = Field(
        default=None,
        examples=["ECDHE+AESGCM"],
        description="TLS 1.2 ciphers, in OpenSSL's notation. If not set: those with forward secrecy.",
    )
    require_tls: Flag | None = Field(
        default=None,
        examples=[True],
        description="Accept passwords over TLS only. If not set: yes if there is a certificate; in a "
        "`.cfg`: no.",
    )
    factors: Annotated[tuple[Annotated[Factor, one_of(Factor)], ...], ListedWords] = Field(
        default=(Factor.AUTO,),
        description="What to try, in this order, if no factor was typed: the first that the user has is "
        "used. LDAP can't ask for a passcode: users have to type it behind the password.",
    )
    allow_concat: Flag = Field(
        default=True,
        description="Accept a factor or passcode typed behind the password: `password,123456`.",
    )
    delimiter: Text = Field(default=",", description="What separates the password from the factor.")
    delimited_password_length: Annotated[int, whole(0, 128)] = Field(
        default=0,
        description="The length of the password in characters, if all passwords have the same. 0: the "
        "delimiter alone marks the end of the password.",
    )
    exempt_ous: Annotated[tuple[DnOption, ...], Listed] = Field(
        default=(),
        examples=[["CN=jira,OU=Service,DC=corp,DC=example"]],
        description="Entries that need no second factor: each of these and everything below it. Name the "
        "account here with which an application searches. In a `.cfg`: `exempt_ou_1`, …",
    )
    exempt_groups: Annotated[tuple[DnOption, ...], Listed] = Field(
        default=(),
        examples=[["CN=No second factor,OU=Groups,DC=corp,DC=example"]],
        description="Groups whose members need no second factor. Nested groups count.",
    )
    exempt_primary_bind: Flag = Field(
        default=False,
        description="The first bind on each connection needs no second factor, whoever binds. It is better "
        "to name the application's account in `exempt_ous`. If not set in a `.cfg`: true.",
    )
    cloud_username: Annotated[CloudUsername, one_of(CloudUsername)] = Field(
        default=CloudUsername.ATTRIBUTE,
        description="The name under which the cloud is asked about the user. `attribute`: the entry's "
        "`username_attribute`. `typed`: the name with which the application binds, such as "
        "`alice@corp.example` or `corp\\alice`, in small letters; if that is a DN, the attribute is used.",
    )
    allow_anonymous_bind: Flag = Field(
        default=False,
        description="Let clients search anonymously, before or without a bind. They see what the directory "
        "shows to everybody.",
    )
    allow_searches_after_bind: Flag = Field(
        default=True,
        description="`false`: close the connection after the answer to a bind with a second factor.",
    )
    approval_memory: Annotated[float, seconds(0, LONGEST_MEMORY)] = Field(
        default=0,
        description="For how long a user's approval counts again for the same login, with the same password "
        "from the same address. Meant for applications that bind several times in one login. The password "
        "is checked each time. 0: each bind asks the user.",
    )
    proxy_protocol_from: Networks = Field(
        default=(),
        examples=[["10.0.0.7"]],
        description="Addresses of load balancers, which begin each connection with a PROXY header (version "
        "1 or 2) that names the client's address. From any other address such a header is an error.",
    )
    network_timeout: Annotated[float, seconds(0, 86_400)] = Field(
        default=600,
        description="How long the directory may take to say something about an operation. 0: for ever, for "
        "searches that wait for changes.",
    )
    idle_timeout: Annotated[float, seconds(10, 86_400)] = Field(
        default=3600, description="A connection is closed after this long without an operation."
    )
    max_connections: Annotated[int, whole(1, 1_000_000)] = Field(
        default=4096, description="How many connections one port accepts; each takes two file descriptors."
    )
    max_connections_per_client: Annotated[int, whole(1, 1_000_000)] = Field(
        default=100, description="How many connections are accepted from one address."
    )
    max_pending: Annotated[int, whole(1, 1_000_000)] = Field(
        default=4096, description="How many binds may be in progress; more are answered with busy."
    )

    SHOWN: ClassVar = {"name": "apps", "client": "ad_client"}
    CFG_DEFAULTS: ClassVar = {
        **ServerSection.CFG_DEFAULTS,
        "exempt_primary_bind": "true",
        "require_tls": "false",
    }
    FAMILIES: ClassVar = (*ServerSection.FAMILIES, Family("exempt_ous", "exempt_ou", bare=True))
    ALIASES: ClassVar = {"concat_mode": "allow_concat"}
    IGNORED: ClassVar = {"allow_unlimited_binds": "every connection may bind as often as it likes"}

    @property
    def has_tls(self) -> bool:
        return self.ssl_cert_path is not None

    def settled(self, name: str, main: Main) -> Self:
        settled = super().settled(name, main)
        if settled.require_tls is not None:
            return settled
        return settled.model_copy(update={"require_tls": settled.has_tls})

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        if (self.ssl_cert_path is None) != (self.ssl_key_path is None):
            yield Finding("ssl_cert_path", "ssl_cert_path and ssl_key_path have to be set together")
        if self.failmode is FailMode.SILENT:
            yield Finding(
                "failmode",
                "silent: an LDAP client waits for its answer instead of asking another server; use secure",
            )
        if self.require_tls and not self.has_tls:
            yield Finding("require_tls", "true, but there is no ssl_cert_path and ssl_key_path")
        if self.has_tls and self.port == self.ssl_port != 0:
            yield Finding("ssl_port", f"{self.ssl_port} is the port without TLS already")
        for index, factor in enumerate(self.factors):
            if factor in self.factors[:index]:
                yield Finding(("factors", index), f"{factor} is listed twice")

    def assumptions(self, options: frozenset[str]) -> Iterator[Finding]:
        yield from super().assumptions(options)
        if "exempt_primary_bind" in options:
            yield Finding(
                "exempt_primary_bind",
                "not set, which means true in a .cfg: the first bind on each connection needs no second "
                "factor",
            )

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        if self.exempt_primary_bind:
            yield Finding(
                "exempt_primary_bind",
                "true: the first bind on each connection needs no second factor, even if a user binds; "
                "it is better to name the application's account in exempt_ous",
            )
        if self.approval_memory:
            yield Finding(
                "approval_memory",
                f"for {self.approval_memory:g} seconds after a user's approval, their password alone is "
                "enough from the same address; with an application that many people use, that is the "
                "application's address",
            )
        for option in ("exempt_ous", "exempt_groups"):
            if listed := getattr(self, option):
                yield Finding(option, f"no second factor for {' and '.join(listed)}")
        if self.factors == (Factor.PASSCODE,):
            yield Finding(
                "factors",
                "LDAP can't ask for a passcode: users who type none behind the password can't log in",
            )
