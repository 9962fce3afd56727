"""Clients that others wrote, against the everyday daemon; what they send and hear is tapped for the oracles."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.system.everyday import Everyday
from tests.system.parts.clients import Said, pyrad, radclient

pytestmark = pytest.mark.system

CLIENTS = {"radclient": radclient, "pyrad": pyrad}


@pytest.mark.parametrize("name", CLIENTS)
def test_accept_and_reject(everyday: Everyday, name: str) -> None:
    """Each checks our replies by its own reading of RFC 2865 and 3579."""
    client: Callable[..., Said] = CLIENTS[name]
    user, denied = everyday.user(), everyday.user(answer="deny")
    port = everyday.tap().port
    said = client("127.0.0.1", port, everyday.secret, user.user, user.password)
    assert said.reply == "Access-Accept", said.text
    assert "Success. Logging you in" in said.text
    wrong = everyday.canaries.new("wrong password")
    assert client("127.0.0.1", port, everyday.secret, user.user, wrong).reply == "Access-Reject"
    assert client("127.0.0.1", port, everyday.secret, denied.user, denied.password).reply == "Access-Reject"


def test_status_server_by_radclient(everyday: Everyday) -> None:
    """R50"""
    said = radclient("127.0.0.1", everyday.vpn.port, everyday.secret, "", "", command="status")
    assert said.reply == "Access-Accept", said.text


def test_accounting_is_not_answered(everyday: Everyday) -> None:
    """R51: not configured, so dropped."""
    port = everyday.vpn.port
    said = radclient("127.0.0.1", port, everyday.secret, "someone", "", command="acct", timeout=1)
    assert said.reply == ""
