"""The five kinds of `radius_server_*` sections: how each gets the second factor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from authproxy.config.model.radius_server import RadiusServer
from authproxy.config.model.section import Finding
from authproxy.config.options.files import FileOption, KeyFileOption
from authproxy.config.options.simple import Flag, ListedWords, Text, one_of, whole
from authproxy.config.options.tls import OLD_TLS, MinimumTls
from authproxy.pipeline.factor import Factor
from authproxy.pipeline.prompt import PromptFormat


class Appending(RadiusServer):
    """A factor may stand behind the password."""

    delimiter: Text = Field(default=",", description="What separates the password from the factor.")
    delimited_password_length: Annotated[int, whole(0, 128)] = Field(
        default=0,
        description="The length of the password in characters, if all passwords have the same. 0: the "
        "delimiter alone marks the end of the password.",
    )


class RadiusServerAuto(Appending):
    """Checks the password first. Then comes a push or call by itself, or the factor typed behind the password."""

    factors: Annotated[tuple[Annotated[Factor, one_of(Factor)], ...], ListedWords] = Field(
        default=(Factor.AUTO,),
        description="What to try, in this order, if no factor was typed: the first that the user has is "
        "used.",
    )
    allow_concat: Flag = Field(
        default=True,
        description="Accept a factor or passcode typed behind the password: `password,123456`.",
    )

    ALIASES: ClassVar = {"concat_mode": "allow_concat"}
    SHOWN: ClassVar = {"accounting_port": 1822, "client": "radius_client"}

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        yield from _twice(self.factors)


def _twice(factors: tuple[Factor, ...]) -> Iterator[Finding]:
    for index, factor in enumerate(factors):
        if factor in factors[:index]:
            yield Finding(("factors", index), f"{factor} is listed twice")


class RadiusServerEap(Appending):
    """Answers EAP itself, for 802.1X and VPNs: PEAP with GTC inside, or TTLS with PAP."""

    certs: FileOption = Field(
        examples=["radius.pem"],
        description="The certificate that is shown to devices (PEM), with its chain. A reload reads it "
        "again.",
    )
    pkey: KeyFileOption = Field(
        examples=["radius.key"], description="The private key of `certs` (PEM, not encrypted)."
    )
    prompt: Text = Field(
        default="Enter your password: ",
        description="The text with which PEAP devices are asked for the password.",
    )
    factors: Annotated[tuple[Annotated[Factor, one_of(Factor)], ...], ListedWords] = Field(
        default=(Factor.AUTO,),
        description="What to try, in this order: the first that the user has is used. `passcode` asks "
        "inside the tunnel (PEAP only); the user may then also type `push`, `phone` or `sms`.",
    )
    allow_concat: Flag = Field(
        default=False,
        description="Accept a factor or passcode typed behind the password: `password,123456`.",
    )
    minimum_tls_version: Annotated[MinimumTls, one_of(MinimumTls, OLD_TLS)] = Field(
        default=MinimumTls.TLS12, description="The oldest TLS version that clients may use."
    )
    cipher_list: Text | None = Field(
        default=None,
        examples=["ECDHE+AESGCM"],
        description="TLS 1.2 ciphers, in OpenSSL's notation. If not set: those with forward secrecy.",
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
    """Password and factor in one field. Without a factor behind the password, a login is rejected at once."""

    ALIASES: ClassVar = {"delimeter": "delimiter"}
    SHOWN: ClassVar = {
        "name": "vpn-concat",
        "port": 1813,
        "accounting_port": 1823,
        "radsec_port": 2084,
        "client": "radius_client",
    }


class RadiusServerChallenge(RadiusServer):
    """Checks the password first. Then a challenge asks which factor to use, and the user answers it."""

    prompt_format: Annotated[PromptFormat, one_of(PromptFormat)] = Field(
        default=PromptFormat.CONSOLE,
        description="`console`: a menu with one line for each choice. `html`: the same, for clients that "
        "show it on a web page. `short`: one line. A menu longer than 253 bytes is always sent as one line.",
    )
    enroll_challenge: Flag = Field(
        default=True,
        description="Ask users without a device to enroll, by a challenge whose text their client shows.",
    )

    SHOWN: ClassVar = {
        "name": "vpn-challenge",
        "port": 1814,
        "accounting_port": 1824,
        "radsec_port": 2085,
        "client": "radius_client",
    }


class RadiusServerDuoOnly(RadiusServer):
    """Checks no password: the client has to have done that. The password field holds a passcode or a factor's name."""

    SHOWN: ClassVar = {"name": "factor-only", "port": 1815, "accounting_port": 1825, "radsec_port": 2086}

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        yield Finding("", "checks no password: the client has to have done that")
