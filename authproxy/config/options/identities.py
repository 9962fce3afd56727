"""What a client's certificate is known by."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated

from authproxy.config.options.addresses import is_address
from authproxy.config.options.reads import NAMED, Reads, text_of, wrong
from authproxy.config.reading import Reading

FINGERPRINT = "sha256:"
_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)


def _identity(node: object, _: Reading) -> str:
    text = text_of(node, what="one name, address or fingerprint").lower()
    if text.startswith(FINGERPRINT):
        digits = text.removeprefix(FINGERPRINT).replace(":", "").strip()
        if not re.fullmatch(r"[0-9a-f]{64}", digits):
            wrong(
                "sha256: and 64 hexadecimal digits are expected, as `openssl x509 -fingerprint -sha256` prints"
            )
        return FINGERPRINT + digits
    if is_address(text):
        return str(ip_address(text))
    name = text.removesuffix(".")
    if "*" in name:
        wrong("a wildcard doesn't name a client; write the name that is in its certificate")
    return (
        name
        if _NAME.fullmatch(name)
        else wrong(f"{text!r} is not a certificate's name or address, nor sha256: and its fingerprint")
    )


# As in the certificate's subjectAltName, in lower case; or `sha256:` and hex without colons.
CertificateIdentity = Annotated[str, Reads(_identity, "a name, an address, or `sha256:…`", NAMED)]
