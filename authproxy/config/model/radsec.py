"""RADIUS over TLS at a `radius_server_*` section: `radsec_…` (RFC 6614)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, model_validator

from authproxy.config.document import Entries
from authproxy.config.model.section import Finding, GroupFamily, Options
from authproxy.config.model.server import ServerSection
from authproxy.config.options.addresses import Networks, named_after_first
from authproxy.config.options.files import FileOption, KeyFileOption
from authproxy.config.options.identities import CertificateIdentity
from authproxy.config.options.simple import Listed, ListedWords, ListenPort, Text, seconds, whole


class RadSecClient(Options):
    """A client over TLS. Both its address and its certificate have to match."""

    name: Text = Field(
        default="",
        examples=["switch"],
        description="The name of this client in logs. If not set: its (first) address as written.",
    )
    ip: Networks = Field(
        examples=["10.2.0.0/24"], description="The address or network from which it connects."
    )
    certificate: Annotated[tuple[CertificateIdentity, ...], ListedWords] = Field(
        examples=[["switch.corp.example"]],
        description="What its certificate has to contain: a name or an address in its subjectAltName, "
        "compared as a whole. Or `sha256:` and the certificate's fingerprint. If several are given, one of "
        "them is enough.",
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return named_after_first(given, "ip") if isinstance(given, Entries) else given


RADSEC_FAMILY = GroupFamily(
    "radsec_clients",
    {"radsec_ip": "ip", "radsec_certificate": "certificate"},
    ("radsec_ip", "radsec_certificate"),
)
_FILES = ("radsec_certificate_file", "radsec_key_file", "radsec_client_ca_file")


class RadSecServer(ServerSection):
    """The options with which a section also answers over TLS."""

    radsec_clients: Annotated[tuple[RadSecClient, ...], Listed] = Field(
        default=(),
        examples=[[{"name": "switch", "ip": "10.2.0.0/24", "certificate": ["switch.corp.example"]}]],
        description="The clients that may connect over TLS (RadSec). The port is open only if there are "
        "any. In a `.cfg`: `radsec_ip_1` and `radsec_certificate_1`, …",
    )
    radsec_port: ListenPort = Field(
        default=2083, description="The TCP port for RadSec; 0: any free port. Sections may share one."
    )
    radsec_certificate_file: FileOption | None = Field(
        default=None,
        examples=["radsec.pem"],
        description="The certificate that is shown to RadSec clients (PEM), with its chain. A reload reads "
        "it again.",
    )
    radsec_key_file: KeyFileOption | None = Field(
        default=None,
        examples=["radsec.key"],
        description="The private key of `radsec_certificate_file` (PEM).",
    )
    radsec_client_ca_file: FileOption | None = Field(
        default=None,
        examples=["radsec-ca.pem"],
        description="The CA certificates (PEM) that verify the RadSec clients' certificates.",
    )
    radsec_idle_timeout: Annotated[float, seconds(10, 86_400)] = Field(
        default=3600, description="A RadSec connection is closed after this long without a packet."
    )
    radsec_max_connections: Annotated[int, whole(1, 1_000_000)] = Field(
        default=1024, description="How many RadSec connections one port accepts."
    )

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        missing = [option for option in _FILES if getattr(self, option) is None]
        if self.radsec_clients:
            yield from (Finding(option, "missing: radsec_clients need it") for option in missing)
        elif len(missing) < len(_FILES):
            yield Finding("radsec_clients", "missing: without them nobody can connect over TLS")
        names: set[str] = set()
        identities: dict[str, str] = {}
        for index, client in enumerate(self.radsec_clients):
            if client.name in names:
                yield Finding(
                    ("radsec_clients", index, "name"), f"{client.name} is already the name of another client"
                )
            names.add(client.name)
            for identity in client.certificate:
                if (other := identities.setdefault(identity, client.name)) != client.name:
                    yield Finding(
                        ("radsec_clients", index, "certificate"),
                        f"{identity} already belongs to client {other}: a certificate can belong to one client "
                        "only",
                    )
