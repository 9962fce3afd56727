"""What all `radius_server_*` sections have: RADIUS clients, and how their logins are answered."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from authproxy.config.document import Entries, Items
from authproxy.config.model.attributes import (
    ATTRIBUTES,
    AttributeRule,
    AttributesFrom,
    rule_faults,
)
from authproxy.config.model.main import Main, SectionName
from authproxy.config.model.radsec import RADSEC_FAMILY, RadSecServer
from authproxy.config.model.section import Family, Finding, GroupFamily, Options
from authproxy.config.model.server import ServerSection
from authproxy.config.options.addresses import Networks, named_after_first
from authproxy.config.options.reads import Reads, one_or_more, wrong
from authproxy.config.options.secrets import SecretOption
from authproxy.config.options.simple import (
    Codec,
    Flag,
    Listed,
    ListedWords,
    ListenPort,
    Text,
    one_of,
    seconds,
    whole,
)
from authproxy.config.options.users import UserName
from authproxy.config.reading import Reading
from authproxy.pipeline.fail_mode import FailMode
from authproxy.protocols.radius.packet import MAX_VALUE
from authproxy.secret import Secret


class RequireMessageAuthenticator(StrEnum):
    YES = "yes"
    AUTO = "auto"
    NO = "no"


def _long_enough(secret: Secret) -> Secret:
    # RFC 2865 §3 wants 16 octets; below 8 it is a matter of minutes.
    return (
        secret
        if len(secret) >= 8
        else wrong("shorter than 8 bytes; `authproxy secret generate` makes a good one")
    )


def _fits(text: str) -> str:
    # RFC 2865 §5: what an attribute's value holds.
    octets = len(text.encode())
    return text if octets <= MAX_VALUE else wrong(f"{octets} bytes; an attribute holds {MAX_VALUE}")


AttributeText = Annotated[Text, AfterValidator(_fits)]
RadiusSecret = Annotated[SecretOption, AfterValidator(_long_enough)]
_REQUIRE = one_of(RequireMessageAuthenticator)


class Client(Options):
    """One RADIUS client, or a network of clients that share a secret."""

    name: Text = Field(
        default="",
        examples=["asa"],
        description="The name of this client in logs. If not set: its (first) address as written.",
    )
    ip: Networks = Field(
        examples=["10.1.0.0/24"],
        description="The address or network from which it sends. If several clients match, the most "
        "specific network wins.",
    )
    secret: RadiusSecret = Field(
        examples=[{"file": "asa-secret"}],
        description="The shared secret: at least 8 bytes, better 16 or more.",
    )
    require_message_authenticator: Annotated[RequireMessageAuthenticator, _REQUIRE] | None = Field(
        default=None, examples=["yes"], description="The section's option, for this client only."
    )
    omit_message_authenticator: Flag = Field(
        default=False,
        description="Answer without Message-Authenticator, for the rare device that drops answers that have "
        "one.",
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return named_after_first(given, "ip") if isinstance(given, Entries) else given


def _clients(node: object, _: Reading) -> tuple[Any, ...]:
    return wrong("missing") if isinstance(node, Items) and not node else one_or_more(node)


_CLIENTS = Reads(_clients, "a list")


class RadiusServer(RadSecServer):
    """What all `radius_server_*` sections have."""

    clients: Annotated[tuple[Client, ...], _CLIENTS] = Field(
        default=(),
        examples=[[{"name": "asa", "ip": "10.1.0.1", "secret": {"file": "asa-secret"}}]],
        description="The clients that may ask by UDP. In a `.cfg`: `radius_ip_1` and `radius_secret_1`, …",
    )
    port: ListenPort = Field(
        default=1812,
        description="The UDP port; 0: any free port, which the `ready` line names. Sections may share one "
        "if no client address belongs to two of them.",
    )
    require_message_authenticator: Annotated[RequireMessageAuthenticator, _REQUIRE] = Field(
        default=RequireMessageAuthenticator.AUTO,
        description="Whether requests need a Message-Authenticator (CVE-2024-3596). `auto`: a client needs "
        "it once it has sent one; before that, only requests with a Proxy-State need it. Each client can "
        "have its own value.",
    )
    force_message_authenticator: Flag = Field(
        default=False, description="Accepted for existing files; means `require_message_authenticator: yes`."
    )
    exempt_usernames: Annotated[tuple[UserName, ...], Listed] = Field(
        default=(),
        examples=[["emergency"]],
        description="Users who need no second factor, by the name that the directory confirms. In a `.cfg`: "
        "`exempt_username_1`, …",
    )
    pw_codec: Codec = Field(
        default="utf-8", description="The character encoding in which clients send passwords."
    )
    client_ip_attr: Text = Field(
        default="Calling-Station-Id",
        description="The attribute with the user's own address, for the cloud's network rules. `paloalto` "
        "stands for PaloAlto-Client-Source-IP.",
    )
    pass_through_attr_names: Annotated[tuple[Text, ...], ListedWords] = Field(
        default=(),
        examples=[["NAS-Port-Type", "Calling-Station-Id"]],
        description="Attributes of a client's request that a `radius_client` gets too.",
    )
    pass_through_all: Flag = Field(
        default=False, description="Give a `radius_client` all attributes of a client's request."
    )
    attributes: Annotated[tuple[AttributeRule, ...], Listed] = Field(
        default=(),
        examples=[[{"user": "alice", "send": ["Class = admins", "Filter-Id = acl-admins"]}]],
        description="Attributes that an Accept carries, by the user's name or, with an `ad_client`, by "
        "group. In a `.cfg`: `attribute_group_1` or `attribute_user_1`, with `attribute_send_1`.",
    )
    attributes_from: Annotated[AttributesFrom, one_of(AttributesFrom)] = Field(
        default=AttributesFrom.FIRST,
        description="If several entries of `attributes` match a user: `first` uses the first one, `all` "
        "uses all of them.",
    )
    trust_unsigned_client_ip: Flag = Field(
        default=False,
        description="Believe the address in `client_ip_attr` even if the request has no "
        "Message-Authenticator. Anyone on the way could then change it.",
    )
    fail_open_class: AttributeText = Field(
        default="",
        examples=["OU=Restricted"],
        description="With `failmode: safe`: the Class (as written, in UTF-8) in the Accept of each user who "
        "gets in without a second factor. It replaces the primary's, and lets the NAS restrict the session.",
    )
    fail_open_filter_id: AttributeText = Field(
        default="", examples=["outage"], description="With `failmode: safe`: the Filter-Id in such an Accept."
    )
    fail_open_reply_message: AttributeText = Field(
        default="",
        examples=["No second factor was asked for: some services are closed to you."],
        description="With `failmode: safe`: the Reply-Message in such an Accept; not sent with EAP.",
    )
    accounting_client: SectionName | None = Field(
        default=None,
        examples=["radius_client"],
        description="The `radius_client` to which accounting is forwarded. If not set: accounting is "
        "counted and dropped.",
    )
    accounting_port: ListenPort = Field(
        default=1813,
        description="The UDP port for accounting, if it is forwarded. Over TLS, accounting comes on the "
        "connection of the logins.",
    )
    max_pending: Annotated[int, whole(1, 1_000_000)] = Field(
        default=16_384, description="How many requests may be in progress on the port; more are dropped."
    )
    max_pending_per_client: Annotated[int, whole(1, 1_000_000)] = Field(
        default=12_288,
        description="How many requests of one client may be in progress; more are dropped.",
    )
    failures_per_station: Annotated[int, whole(0, 1_000_000)] = Field(
        default=200,
        description="How many wrong passwords may come from one Calling-Station-Id, for all users together. "
        "Then logins from there are rejected until some are forgotten again (`failures_refill`). 0: no "
        "limit, for clients that send the same Calling-Station-Id for all users.",
    )
    reject_delay: Annotated[float, seconds(0, 10)] = Field(
        default=1,
        description="An Access-Reject is never sent sooner than this after its request, whatever the reason.",
    )
    reply_cache: Annotated[float, seconds(5, 30)] = Field(
        default=30,
        description="For how long a repeated request gets the same answer again (RFC 5080 §2.2.2).",
    )

    CFG_DEFAULTS: ClassVar = {
        **ServerSection.CFG_DEFAULTS,
        "port": "1812",
        "require_message_authenticator": "auto",
    }
    FAMILIES: ClassVar = (
        *ServerSection.FAMILIES,
        GroupFamily(
            "clients", {"radius_ip": "ip", "radius_secret": "secret"}, ("radius_ip", "radius_secret")
        ),
        RADSEC_FAMILY,
        Family("exempt_usernames", "exempt_username"),
        ATTRIBUTES,
    )

    @model_validator(mode="before")
    @classmethod
    def _somebody(cls, given: Any) -> Any:
        """By UDP or over TLS; told with everything else that is missing."""
        if not isinstance(given, Entries) or "clients" in given or "radsec_clients" in given:
            return given
        return {**given, "clients": Items([], given.line)}

    def settled(self, name: str, main: Main) -> Self:
        require = self.require_message_authenticator
        if self.force_message_authenticator:
            require = RequireMessageAuthenticator.YES
        clients = tuple(
            client.model_copy(
                update={"require_message_authenticator": client.require_message_authenticator or require}
            )
            for client in self.clients
        )
        changed = {"require_message_authenticator": require, "clients": clients}
        return super().settled(name, main).model_copy(update=changed)

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        if (
            self.force_message_authenticator
            and self.require_message_authenticator is RequireMessageAuthenticator.NO
        ):
            yield Finding("force_message_authenticator", "true contradicts require_message_authenticator: no")
        yield from rule_faults(self.attributes)
        seen: dict[str, int] = {}
        for index, client in enumerate(self.clients):
            if seen.setdefault(client.name, index) != index:
                yield Finding(
                    ("clients", index, "name"), f"{client.name} is already the name of another client"
                )

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        for index, client in enumerate(self.clients):
            yield from _client_risks(client, index)
        if self.require_message_authenticator is RequireMessageAuthenticator.NO:
            yield Finding(
                "require_message_authenticator", "no: replies can be forged on the way (CVE-2024-3596)"
            )
        if self.failmode is not FailMode.SAFE:
            for option in ("fail_open_class", "fail_open_filter_id", "fail_open_reply_message"):
                if getattr(self, option):
                    yield Finding(option, f"has no effect: failmode is {self.failmode}, which lets nobody in")
        if self.trust_unsigned_client_ip:
            yield Finding(
                "trust_unsigned_client_ip",
                "true: anyone on the way can change the address to which the cloud's network rules apply",
            )
        if self.exempt_usernames:
            names = ", ".join(self.exempt_usernames)
            yield Finding("exempt_usernames", f"no second factor for {names}")


def _client_risks(client: Client, index: int) -> Iterator[Finding]:
    at = ("clients", index)
    if len(client.secret) < 16:
        yield Finding((*at, "secret"), "shorter than 16 bytes; `authproxy secret generate` makes a good one")
    for network in client.ip:
        if network.prefixlen < (16 if network.version == 4 else 48):
            yield Finding((*at, "ip"), f"{network} is very large: name the networks in which the clients are")
    if client.require_message_authenticator is RequireMessageAuthenticator.NO:
        yield Finding(
            (*at, "require_message_authenticator"), "no: replies can be forged on the way (CVE-2024-3596)"
        )
    if client.omit_message_authenticator:
        yield Finding(
            (*at, "omit_message_authenticator"), "true: replies can be forged on the way (CVE-2024-3596)"
        )
