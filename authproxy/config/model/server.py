"""What every server section has: an application at the cloud, its outage rule, its primary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field

from authproxy.config.model.main import Main, SectionName
from authproxy.config.model.outbound import Outbound
from authproxy.config.model.section import Family, Finding, GroupFamily
from authproxy.config.options.addresses import Address, Host, is_address
from authproxy.config.options.directory import DnOption
from authproxy.config.options.files import FileOption
from authproxy.config.options.reads import wrong
from authproxy.config.options.secrets import SecretOption
from authproxy.config.options.simple import Flag, Listed, Port, Text, matching, one_of, seconds, whole
from authproxy.config.options.users import UserName
from authproxy.pipeline.fail_mode import FailMode, SlowCloud
from authproxy.secret import Secret

# Seconds: the longest that most appliances can be set to wait is 60, and a login has two calls and a user in it.
_PATIENT = 20
# What limits a safe section's door and is not given by default.
_LIMITS = (
    "fail_open_max_per_hour",
    "fail_open_never_users",
    "fail_open_never_groups",
    "fail_open_seen_within_days",
)


def _secret_key(skey: Secret) -> Secret:
    if re.fullmatch(rb"[A-Za-z0-9]{40}", skey.reveal()):
        return skey
    return wrong("not a secret key: 40 letters and digits are expected")


class ServerSection(Outbound):
    """Answers clients, with an application at the cloud behind it."""

    name: Text = Field(
        default="",
        examples=["vpn"],
        description="What logs and metrics call this section. Not given: the section's name.",
    )
    ikey: Annotated[
        str,
        matching(r"DI[A-Z0-9]{18}", "not an integration key: DI and 18 capital letters or digits", "`DI…`"),
    ] = Field(examples=["DIXXXXXXXXXXXXXXXXXX"], description="The application's integration key.")
    skey: Annotated[SecretOption, AfterValidator(_secret_key)] = Field(
        examples=[{"file": "skey"}], description="The application's secret key."
    )
    api_host: Host = Field(examples=["api-xxxxxxxx.example.com"], description="The cloud's API host.")
    api_port: Port = Field(default=443, description="Its port.")
    api_timeout: Annotated[float, seconds(0, 300)] = Field(
        default=0,
        description="For each request to the cloud, from looking its name up to the answer's last octet. 0: limits of "
        "their own, 10 seconds until the cloud has said whether a factor is due, and then as long as the user has.",
    )
    api_connect_timeout: Annotated[float, seconds(0.1, 60)] = Field(
        default=5, description="The part of it that connecting may take."
    )
    api_ca_certs_file: FileOption | None = Field(
        default=None,
        examples=["cloud-ca.pem"],
        description="PEM certificates that the cloud's is checked against. Not given: `main`'s `http_ca_certs_file`, "
        "else the system's.",
    )
    allow_local_api: Flag = Field(
        default=False,
        description="Let `api_host` be, or resolve to, an address of this machine or a private network: for the "
        "embedded service and for tests. An attacker with the hosts file in hand can stage an outage that way.",
    )
    failmode: Annotated[FailMode, one_of(FailMode)] = Field(
        default=FailMode.SECURE,
        description="In an outage of the cloud: `secure` rejects, `safe` lets a right password in, `silent` gives no "
        "answer, so that the client turns to its next server (RADIUS only). Not given in a `.cfg`: safe.",
    )
    fail_open_max_minutes: Annotated[int, whole(0, 43_200)] = Field(
        default=1440,
        description="`safe`: for how long an outage lets users in, from the first who passes; then nobody, until the "
        "cloud has answered for an hour. 0: for as long as it takes.",
    )
    fail_open_max_per_hour: Annotated[int, whole(0, 1_000_000)] = Field(
        default=0, description="`safe`: how many logins an outage lets in within an hour. 0: any number."
    )
    fail_open_never_users: Annotated[tuple[UserName, ...], Listed] = Field(
        default=(),
        examples=[["administrator"]],
        description="`safe`: users whom no outage lets in, by the name that the directory confirms. In a `.cfg`: "
        "`fail_open_never_user_1`, …",
    )
    fail_open_never_groups: Annotated[tuple[DnOption, ...], Listed] = Field(
        default=(),
        examples=[["CN=Domain Admins,CN=Users,DC=corp,DC=example"]],
        description="`safe`: groups whose members no outage lets in; membership by nested groups counts. Needs an "
        "`ad_client`. In a `.cfg`: `fail_open_never_group_1`, …",
    )
    fail_open_seen_within_days: Annotated[int, whole(0, 3650)] = Field(
        default=0,
        description="`safe`: an outage lets in only users who have passed a second factor here in so many days. "
        "0: all.",
    )
    slow_cloud: Annotated[SlowCloud, one_of(SlowCloud)] = Field(
        default=SlowCloud.WAIT,
        description="While the cloud answers too slowly, and an independent probe finds it slow as well: `wait` as "
        "ever; `passcode` asks for a passcode where the user can be asked, instead of waiting for a push; `failmode` "
        "does as in an outage, past all gates, and asks for no factor.",
    )
    slow_cloud_seconds: Annotated[float, seconds(0.5, 30)] = Field(
        default=3,
        description="From how long on an answer of the cloud's, without its user's time, is too slow.",
    )
    client: SectionName = Field(
        default="",
        examples=["ad_client"],
        description="The section with the primary. Not given: `main`'s `client`, else the only one there is.",
    )
    interface: Annotated[tuple[Address, ...], Listed] = Field(
        default=(),
        examples=[["10.0.0.5"]],
        description="Addresses to listen on. Not given: `main`'s, else all.",
    )
    login_patience: Annotated[float, seconds(5, 600)] = Field(
        default=65, description="After how long a login that waits for its user is given up."
    )
    denial_memory: Annotated[float, seconds(0, 3600)] = Field(
        default=30,
        description="For how long the same login, asked again after the user denied it, is denied without asking. "
        "After a push that nobody answered: 5 seconds at most, so that an appliance's own retry pushes nobody.",
    )
    failures_per_client: Annotated[int, whole(0, 1_000_000)] = Field(
        default=0,
        description="Wrong passwords that one client may bring in `failures_refill`; then all its logins "
        "are refused until so many are forgotten again. 0: any number; whoever is behind a client can use this up for "
        "all others there.",
    )
    failures_refill: Annotated[float, seconds(10, 86400)] = Field(
        default=600, description="The time in which as many are forgotten as there may be; of stations, too."
    )
    debug: Flag = Field(default=False, description="As `debug` of `main`, for this section.")

    CFG_DEFAULTS: ClassVar[Mapping[str, str]] = {"failmode": "safe"}
    FAMILIES: ClassVar[tuple[Family | GroupFamily, ...]] = (
        Family("fail_open_never_users", "fail_open_never_user"),
        Family("fail_open_never_groups", "fail_open_never_group"),
    )

    def settled(self, name: str, main: Main) -> Self:
        """With its name, and with what it inherits from main."""
        changed: dict[str, object] = {}
        if not self.name:
            changed["name"] = name
        if self.api_ca_certs_file is None:
            changed["api_ca_certs_file"] = main.http_ca_certs_file
        if not self.interface:
            changed["interface"] = main.interface
        if self.http_proxy_host is None:
            changed |= {option: getattr(main, option) for option in self.OUTBOUND}
        return self.model_copy(update={**changed, "debug": self.debug or main.debug})

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        if not self.allow_local_api and is_local(self.api_host):
            yield Finding(
                "api_host",
                f"{self.api_host} is this machine or a private network; if that is meant, "
                "set allow_local_api: true",
            )

    def assumptions(self, options: frozenset[str]) -> Iterator[Finding]:
        yield from super().assumptions(options)
        if "failmode" in options:
            yield Finding(
                "failmode",
                "not given, which means safe in a .cfg; better write which one you mean",
            )

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        if self.failmode is FailMode.SAFE:
            if self.slow_cloud is SlowCloud.FAILMODE:
                what = "failmode, which is safe: a slow cloud lets a right password in, too"
                yield Finding("slow_cloud", what)
            if not self.fail_open_max_minutes:
                yield Finding(
                    "fail_open_max_minutes", "0: the door stays open for as long as the outage lasts"
                )
            if self.api_timeout > _PATIENT:
                yield Finding(
                    "api_timeout", "few clients wait that long, so failmode safe will let nobody in"
                )
        else:
            for option in _LIMITS:
                if getattr(self, option):
                    yield Finding(option, f"has no effect: failmode is {self.failmode}, which lets nobody in")
        if self.login_patience <= self.api_timeout:
            yield Finding("login_patience", "not longer than api_timeout: no user has time to answer")


def is_local(host: str) -> bool:
    """A name or address that can only be this machine or a private network (F5, T10)."""
    if is_address(host):
        return not ip_address(host).is_global
    return host == "localhost" or host.endswith((".localhost", ".localdomain")) or host == "ip6-localhost"
