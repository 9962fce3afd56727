"""Where a tunnel of `http_proxy` leads."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from authproxy.config.model import HttpProxy
from authproxy.protocols.http.tunnel import NoTunnel
from authproxy.service.http_proxy import plans
from tests.config.files import loaded
from tests.pipeline.fakes import run


class Names:
    """Says one thing of every name."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def addresses(self, name: str, timeout: float) -> tuple[str, ...]:
        return self._addresses


def dial(folder: Path, names: Names) -> Any:
    text = "http_proxy:\n  api_host: api-x.example.com\n  client_ip: 10.0.0.0/24\n"
    sections = loaded(folder, text).config.all(HttpProxy)
    (plan,) = plans(sections, Clock(), names).values()  # type: ignore[arg-type]
    return run(plan.dial())  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.5", "::1", "169.254.169.254", "::ffff:10.0.0.5"])
def test_a_name_that_was_turned_leads_nowhere(tmp_path: Path, address: str) -> None:
    """F5, T10: else whoever turns the name makes this machine the way into its network."""
    with pytest.raises(NoTunnel) as refused:
        dial(tmp_path, Names("93.184.216.34", address))
    assert (refused.value.status, refused.value.cause) == (HTTPStatus.FORBIDDEN, "untrusted")
