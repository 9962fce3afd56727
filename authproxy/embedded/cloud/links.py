"""The addresses of the pages that set phones up."""

from __future__ import annotations

import ipaddress
from urllib.parse import quote, urlsplit

from authproxy.secret import Secret
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Links:
    """`base`: scheme, host and port of the pages."""

    base: str

    def portal(self, code: Secret) -> str:
        """The page for a computer, which shows a code to scan."""
        return f"{self.base}/enroll/{code.reveal().decode()}"

    def activation(self, code: Secret) -> str:
        """The page for the phone, to which the code leads."""
        return f"{self.base}/activate/{code.reveal().decode()}"

    def barcode(self, code: Secret) -> str:
        """The picture of that code."""
        return f"{self.base}/frame/qr?value={quote(code.reveal().decode())}"

    def reach_no_phone(self) -> bool:
        """Whether the links work only on this computer."""
        host = urlsplit(self.base).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")
