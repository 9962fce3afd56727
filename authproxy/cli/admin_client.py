"""Asks the running proxy's `main.admin`, directly: proxies from the environment aren't used."""

from __future__ import annotations

import json
import ssl
from dataclasses import field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from authproxy.config.model.main import Main
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_PATIENCE = 5  # seconds
_LOOPBACKS = {4: "127.0.0.1", 6: "::1"}


class NotAnswering(Exception):
    """Nothing answers there, or it isn't authproxy. The text says what was tried, and what came of it."""


@light_dataclass(frozen=True, slots=True)
class AdminClient:
    host: str
    port: int
    token: Secret | None = field(default=None, repr=False)
    certificate: Path | None = None  # the server's own, which is all that we trust; None: no TLS

    @classmethod
    def of(cls, main: Main) -> AdminClient | None:
        """None: main.admin isn't configured."""
        if main.admin is None:
            return None
        address = ip_address(main.admin.host)
        host = _LOOPBACKS[address.version] if address.is_unspecified else main.admin.host
        return cls(host, main.admin.port, main.admin_token, main.admin_tls_cert)

    def status(self) -> dict[str, Any]:
        """The contents of /status. Raises NotAnswering."""
        code, body = self._get("/status")
        if code != 200 or not isinstance(body, dict) or "sections" not in body:
            raise NotAnswering(f"{self} answered {code}, but not as authproxy does")
        return body

    def _get(self, path: str) -> tuple[int, Any]:
        connection = self._connection()
        headers = {"Authorization": f"Bearer {self.token.reveal().decode('latin-1')}"} if self.token else {}
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise NotAnswering(f"{self} doesn't answer ({why}): is authproxy running?") from None
        except HTTPException as error:
            raise NotAnswering(f"{self} is not authproxy ({type(error).__name__})") from None
        finally:
            connection.close()
        if answer.status == 401:
            raise NotAnswering(f"{self} runs with another admin_token than the configuration has")
        try:
            return answer.status, json.loads(body)
        except (ValueError, RecursionError):
            raise NotAnswering(f"{self} answered {answer.status}, and no JSON: it is not authproxy") from None

    def _connection(self) -> HTTPConnection:
        if self.certificate is None:
            return HTTPConnection(self.host, self.port, timeout=_PATIENCE)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.certificate)
        # We hold the very certificate that it has to show; what name is in it doesn't matter.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return HTTPSConnection(self.host, self.port, timeout=_PATIENCE, context=context)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.certificate is None else 'https'}://{host}:{self.port}"
