"""`radius_server_*`: RADIUS clients, and how their logins are answered."""

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
from authproxy.config.options.files import FileOption, KeyFileOption
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
from authproxy.config.options.tls import OLD_TLS, MinimumTls
from authproxy.config.options.users import UserName
from authproxy.config.reading import Reading
from authproxy.pipeline.factor import Factor
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.prompt import PromptFormat
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
        else wrong("shorter than 8 octets; `authproxy secret generate` makes a good one")
    )


def _fits(text: str) -> str:
    # RFC 2865 §5: what an attribute's value holds.
    octets = len(text.encode())
    return text if octets <= MAX_VALUE else wrong(f"{octets} octets; an attribute holds {MAX_VALUE}")


AttributeText = Annotated[Text, AfterValidator(_fits)]
RadiusSecret = Annotated[SecretOption, AfterValidator(_long_enough)]
_REQUIRE = one_of(RequireMessageAuthenticator)


class Client(Options):
    """One RADIUS client, or a network of them that share a secret."""

    name: Text = Field(
        default="",
        examples=["asa"],
        description="What logs call it. Not given: its (first) address as it is written.",
    )
    ip: Networks = Field(
        examples=["10.1.0.0/24"], description="Where it sends from. The most specific network wins."
    )
    secret: RadiusSecret = Field(
        examples=[{"file": "asa-secret"}],
        description="The shared secret, 8 octets at least and better 16 or more.",
    )
    require_message_authenticator: Annotated[RequireMessageAuthenticator, _REQUIRE] | None = Field(
        default=None, examples=["yes"], description="As the section's option, for this client."
    )
    omit_message_authenticator: Flag = Field(
        default=False,
        description="Answer without Message-Authenticator, for the rare device that drops answers with one.",
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
        description="Who may ask by UDP. In a `.cfg`: `radius_ip_1` and `radius_secret_1`, …",
    )
    port: ListenPort = Field(
        default=1812,
        description="The UDP port; 0: any free one, which `ready` tells. Sections may share one when no client's "
        "network is in two.",
    )
    require_message_authenticator: Annotated[RequireMessageAuthenticator, _REQUIRE] = Field(
        default=RequireMessageAuthenticator.AUTO,
        description="Whether requests have to carry a Message-Authenticator (CVE-2024-3596). `auto`: from the first "
        "one that a client sends, and until then none with a Proxy-State goes without. Clients may have their own.",
    )
    force_message_authenticator: Flag = Field(
        default=False, description="What an existing file may have for `require_message_authenticator: yes`."
    )
    exempt_usernames: Annotated[tuple[UserName, ...], Listed] = Field(
        default=(),
        examples=[["emergency"]],
        description="Users who need no second factor, by the name that the directory confirms. In a `.cfg`: "
        "`exempt_username_1`, …",
    )
    pw_codec: Codec = Field(default="utf-8", description="The encoding that clients send passwords in.")
    client_ip_attr: Text = Field(
        default="Calling-Station-Id",
        description="The attribute with the user's own address, for the cloud's network rules; `paloalto` stands for "
        "PaloAlto-Client-Source-IP.",
    )
    pass_through_attr_names: Annotated[tuple[Text, ...], ListedWords] = Field(
        default=(),
        examples=[["NAS-Port-Type", "Calling-Station-Id"]],
        description="Attributes of a client's request that a `radius_client` is shown, too.",
    )
    pass_through_all: Flag = Field(
        default=False, description="Show a `radius_client` all attributes of a client's request."
    )
    attributes: Annotated[tuple[AttributeRule, ...], Listed] = Field(
        default=(),
        examples=[[{"user": "alice", "send": ["Class = admins", "Filter-Id = acl-admins"]}]],
        description="What an Accept carries, by the user's name, or by a group of an `ad_client`'s directory with "
        "`group`. In a `.cfg`: `attribute_group_1` or `attribute_user_1`, with `attribute_send_1`.",
    )
    attributes_from: Annotated[AttributesFrom, one_of(AttributesFrom)] = Field(
        default=AttributesFrom.FIRST,
        description="Of several entries of `attributes` that fit a user: `first` in their order, or `all`.",
    )
    trust_unsigned_client_ip: Flag = Field(
        default=False,
        description="Believe that address in requests without Message-Authenticator, which anyone on the way can "
        "change.",
    )
    fail_open_class: AttributeText = Field(
        default="",
        examples=["OU=Restricted"],
        description="`safe`: the Class in the Accept of whoever passes without a second factor, as it is written, in "
        "UTF-8; in place of the primary's. So the NAS can restrict the session.",
    )
    fail_open_filter_id: AttributeText = Field(
        default="", examples=["outage"], description="`safe`: likewise the Filter-Id."
    )
    fail_open_reply_message: AttributeText = Field(
        default="",
        examples=["No second factor was asked for: some services are closed to you."],
        description="`safe`: likewise a Reply-Message, but not beside EAP.",
    )
    accounting_client: SectionName | None = Field(
        default=None,
        examples=["radius_client"],
        description="The `radius_client` that accounting is handed on to. Not given: it is counted, and dropped.",
    )
    accounting_port: ListenPort = Field(
        default=1813,
        description="The UDP port for accounting, when it is handed on; over TLS it comes with the logins.",
    )
    max_pending: Annotated[int, whole(1, 1_000_000)] = Field(
        default=16_384, description="Requests in progress on the port, at most; more are dropped."
    )
    max_pending_per_client: Annotated[int, whole(1, 1_000_000)] = Field(
        default=12_288,
        description="Requests of one client in progress, at most; more are dropped.",
    )
    failures_per_station: Annotated[int, whole(0, 1_000_000)] = Field(
        default=200,
        description="Wrong passwords from one Calling-Station-Id, whoever's they are, in "
        "`failures_refill`; then logins from there are refused until some are forgotten. 0: any number, for "
        "clients that send the same one for all users.",
    )
    reject_delay: Annotated[float, seconds(0, 10)] = Field(
        default=1,
        description="No Access-Reject leaves sooner than this after its request, whatever its reason.",
    )
    reply_cache: Annotated[float, seconds(5, 30)] = Field(
        default=30,
        description="For how long a request that comes again gets the same octets again (RFC 5080 §2.2.2).",
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
                yield Finding(("clients", index, "name"), f"{client.name} is the name of another client, too")

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
                "true: anyone on the way can write the address that the cloud's network rules go by",
            )
        if self.exempt_usernames:
            names = ", ".join(self.exempt_usernames)
            yield Finding("exempt_usernames", f"no second factor for {names}")


def _client_risks(client: Client, index: int) -> Iterator[Finding]:
    at = ("clients", index)
    if len(client.secret) < 16:
        yield Finding((*at, "secret"), "shorter than 16 octets; `authproxy secret generate` makes a good one")
    for network in client.ip:
        if network.prefixlen < (16 if network.version == 4 else 48):
            yield Finding((*at, "ip"), f"{network} is very wide: name the networks that clients are in")
    if client.require_message_authenticator is RequireMessageAuthenticator.NO:
        yield Finding(
            (*at, "require_message_authenticator"), "no: replies can be forged on the way (CVE-2024-3596)"
        )
    if client.omit_message_authenticator:
        yield Finding(
            (*at, "omit_message_authenticator"), "true: replies can be forged on the way (CVE-2024-3596)"
        )


class Appending(RadiusServer):
    """A factor may stand behind the password."""

    delimiter: Text = Field(default=",", description="What stands between the password and the factor.")
    delimited_password_length: Annotated[int, whole(0, 128)] = Field(
        default=0,
        description="The password's length in characters, where all have the same; 0: the delimiter says it.",
    )


class RadiusServerAuto(Appending):
    """Password first; then a push or call by itself, or the factor that was typed behind the password."""

    factors: Annotated[tuple[Annotated[Factor, one_of(Factor)], ...], ListedWords] = Field(
        default=(Factor.AUTO,),
        description="What to try when no factor was typed, in this order; the first that the user has.",
    )
    allow_concat: Flag = Field(
        default=True,
        description="Take a factor or passcode that was typed behind the password: `password,123456`.",
    )

    ALIASES: ClassVar = {"concat_mode": "allow_concat"}
    SHOWN: ClassVar = {"accounting_port": 1822, "client": "radius_client"}

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        yield from _twice(self.factors)


def _twice(factors: tuple[Factor, ...]) -> Iterator[Finding]:
    for index, factor in enumerate(factors):
        if factor in factors[:index]:
            yield Finding(("factors", index), f"{factor} stands there twice")


class RadiusServerEap(Appending):
    """802.1X and VPNs with EAP, which ends here: PEAP with GTC inside, or TTLS with PAP."""

    certs: FileOption = Field(
        examples=["radius.pem"],
        description="PEM certificate with its chain, which clients are shown. Read again at a reload.",
    )
    pkey: KeyFileOption = Field(examples=["radius.key"], description="PEM key of `certs`, not encrypted.")
    prompt: Text = Field(
        default="Enter your password: ", description="What PEAP's clients are asked for the password with."
    )
    factors: Annotated[tuple[Annotated[Factor, one_of(Factor)], ...], ListedWords] = Field(
        default=(Factor.AUTO,),
        description="What to try in this order; the first that the user has. `passcode` asks inside the tunnel, "
        "with PEAP; who is asked may type `push`, `phone` or `sms`, too.",
    )
    allow_concat: Flag = Field(
        default=False,
        description="Take a factor or passcode that was typed behind the password: `password,123456`.",
    )
    minimum_tls_version: Annotated[MinimumTls, one_of(MinimumTls, OLD_TLS)] = Field(
        default=MinimumTls.TLS12, description="The oldest version of TLS that clients may speak."
    )
    cipher_list: Text | None = Field(
        default=None,
        examples=["ECDHE+AESGCM"],
        description="Ciphers of TLS 1.2 in OpenSSL's notation. Not given: those with forward secrecy.",
    )

    ALIASES: ClassVar = {"concat_mode": "allow_concat"}
    SHOWN: ClassVar = {
        "name": "wlan",
        "port": 1816,
        "accounting_port": 1826,
        "radsec_port": 2087,
        "client": "radius_client",
    }

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        yield from _twice(self.factors)


class RadiusServerConcat(Appending):
    """Password and factor in one: who types no factor behind the password is refused before anybody is asked."""

    ALIASES: ClassVar = {"delimeter": "delimiter"}
    SHOWN: ClassVar = {
        "name": "vpn-concat",
        "port": 1813,
        "accounting_port": 1823,
        "radsec_port": 2084,
        "client": "radius_client",
    }


class RadiusServerChallenge(RadiusServer):
    """Password first; then the user is asked which factor, and answers in a second request."""

    prompt_format: Annotated[PromptFormat, one_of(PromptFormat)] = Field(
        default=PromptFormat.CONSOLE,
        description="`console`: a menu of lines; `html`: the same for clients that show it on a page; `short`: one "
        "line. What is longer than 253 octets becomes short.",
    )
    enroll_challenge: Flag = Field(
        default=True, description="Ask users without a device to enrol, in words that their client shows."
    )

    SHOWN: ClassVar = {
        "name": "vpn-challenge",
        "port": 1814,
        "accounting_port": 1824,
        "radsec_port": 2085,
        "client": "radius_client",
    }


class RadiusServerDuoOnly(RadiusServer):
    """No password here: the client has checked it. What comes as the password is a passcode or a factor's name."""

    SHOWN: ClassVar = {"name": "factor-only", "port": 1815, "accounting_port": 1825, "radsec_port": 2086}

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        yield Finding("", "checks no password: whoever asks has to have done it")
