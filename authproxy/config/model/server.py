"""What every server section has: an application at the cloud, its rules for outages, its primary."""

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
    """Answers clients, and asks an application at the cloud for the second factor."""

    name: Text = Field(
        default="",
        examples=["vpn"],
        description="The name of this section in logs and metrics. If not set: the section's name in this "
        "file.",
    )
    ikey: Annotated[
        str,
        matching(r"DI[A-Z0-9]{18}", "not an integration key: DI and 18 capital letters or digits", "`DI…`"),
    ] = Field(examples=["DIXXXXXXXXXXXXXXXXXX"], description="The application's integration key.")
    skey: Annotated[SecretOption, AfterValidator(_secret_key)] = Field(
        examples=[{"file": "skey"}], description="The application's secret key."
    )
    api_host: Host = Field(
        examples=["api-xxxxxxxx.example.com"], description="The host name of the cloud's API."
    )
    api_port: Port = Field(default=443, description="The port of the cloud's API.")
    api_timeout: Annotated[float, seconds(0, 300)] = Field(
        default=0,
        description="How long one request to the cloud may take, from the look-up of its name to the last "
        "byte of the answer. 0: the built-in limits apply, which are 10 seconds until the cloud has said "
        "whether a factor is due, and then as long as the user may take.",
    )
    api_connect_timeout: Annotated[float, seconds(0.1, 60)] = Field(
        default=5, description="How much of that time may be spent on connecting."
    )
    api_ca_certs_file: FileOption | None = Field(
        default=None,
        examples=["cloud-ca.pem"],
        description="CA certificates (PEM) that verify the cloud's certificate. If not set: "
        "`http_ca_certs_file` of `main`, else the system's.",
    )
    allow_local_api: Flag = Field(
        default=False,
        description="Allow `api_host` to be, or resolve to, an address of this machine or of a private "
        "network. Meant for the embedded service and for tests: an attacker who can change the hosts file "
        "can then simulate an outage.",
    )
    failmode: Annotated[FailMode, one_of(FailMode)] = Field(
        default=FailMode.SECURE,
        description="What to do in an outage of the cloud. `secure`: reject. `safe`: let users in on a "
        "correct password alone. `silent` (RADIUS only): don't answer, so that the client asks its next "
        "server. If not set in a `.cfg`: `safe`.",
    )
    fail_open_max_minutes: Annotated[int, whole(0, 43_200)] = Field(
        default=1440,
        description="With `failmode: safe`: for how many minutes an outage may let users in, counted from "
        "the first one. After that, nobody gets in until the cloud has answered for an hour. 0: no limit.",
    )
    fail_open_max_per_hour: Annotated[int, whole(0, 1_000_000)] = Field(
        default=0,
        description="With `failmode: safe`: how many logins an outage may let in within an hour. 0: no "
        "limit.",
    )
    fail_open_never_users: Annotated[tuple[UserName, ...], Listed] = Field(
        default=(),
        examples=[["administrator"]],
        description="With `failmode: safe`: users whom an outage never lets in, by the name that the "
        "directory confirms. In a `.cfg`: `fail_open_never_user_1`, …",
    )
    fail_open_never_groups: Annotated[tuple[DnOption, ...], Listed] = Field(
        default=(),
        examples=[["CN=Domain Admins,CN=Users,DC=corp,DC=example"]],
        description="With `failmode: safe`: groups whose members an outage never lets in. Nested groups "
        "count. Needs an `ad_client`. In a `.cfg`: `fail_open_never_group_1`, …",
    )
    fail_open_seen_within_days: Annotated[int, whole(0, 3650)] = Field(
        default=0,
        description="With `failmode: safe`: an outage lets in only users who have passed a second factor in "
        "this section within so many days. 0: all users.",
    )
    slow_cloud: Annotated[SlowCloud, one_of(SlowCloud)] = Field(
        default=SlowCloud.WAIT,
        description="What to do while the cloud answers too slowly and an independent probe finds it slow "
        "too. `wait`: nothing. `passcode`: ask for a passcode instead of waiting for a push, if the client "
        "can ask. `failmode`: do as in an outage, if all gates and limits allow it, and ask for no factor.",
    )
    slow_cloud_seconds: Annotated[float, seconds(0.5, 30)] = Field(
        default=3,
        description="An answer of the cloud is too slow if it takes this long, not counting the time that "
        "its user takes.",
    )
    client: SectionName = Field(
        default="",
        examples=["ad_client"],
        description="The section of the primary. If not set: `client` of `main`, else the only client "
        "section in the file.",
    )
    interface: Annotated[tuple[Address, ...], Listed] = Field(
        default=(),
        examples=[["10.0.0.5"]],
        description="IP addresses to listen on. If not set: those of `main`, else all.",
    )
    login_patience: Annotated[float, seconds(5, 600)] = Field(
        default=65, description="How long a login may wait for its user before it is given up."
    )
    denial_memory: Annotated[float, seconds(0, 3600)] = Field(
        default=30,
        description="After a user has denied a login, the same login is denied for this long without asking "
        "the user again. After a push that the user didn't answer, this holds for at most 5 seconds, so "
        "that an appliance's automatic retry sends no push.",
    )
    failures_per_client: Annotated[int, whole(0, 1_000_000)] = Field(
        default=0,
        description="How many wrong passwords one client may send. Then all its logins are rejected until "
        "some are forgotten again (`failures_refill`). 0: no limit. With a limit, one user behind a client "
        "can use it up for all others there.",
    )
    failures_refill: Annotated[float, seconds(10, 86400)] = Field(
        default=600,
        description="The time in which as many wrong passwords are forgotten as `failures_per_client` or "
        "`failures_per_station` allows.",
    )
    debug: Flag = Field(
        default=False, description="Accepted for existing files; has no effect. Set `debug` of `main`."
    )

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
                "not set, which means safe in a .cfg; set it to the one that you mean",
            )

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        if self.failmode is FailMode.SAFE:
            if self.slow_cloud is SlowCloud.FAILMODE:
                what = "failmode, which is safe: a slow cloud also lets users in on a password alone"
                yield Finding("slow_cloud", what)
            if not self.fail_open_max_minutes:
                yield Finding(
                    "fail_open_max_minutes",
                    "0: users get in on a password alone for as long as the outage lasts",
                )
            if self.api_timeout > _PATIENT:
                yield Finding(
                    "api_timeout", "few clients wait that long, so failmode safe will let nobody in"
                )
        else:
            for option in _LIMITS:
                if getattr(self, option):
                    yield Finding(option, f"has no effect: failmode is {self.failmode}, which lets nobody in")
        if self.debug:
            yield Finding("debug", "has no effect in a section: all have one log; set debug of main")
        if self.login_patience <= self.api_timeout:
            yield Finding("login_patience", "not longer than api_timeout: no user has time to answer")


def is_local(host: str) -> bool:
    """Whether this name or address can only be this machine or a private network (F5, T10)."""
    if is_address(host):
        return not ip_address(host).is_global
    return host == "localhost" or host.endswith((".localhost", ".localdomain")) or host == "ip6-localhost"
