"""One bind at an LDAP section, as an application would send it."""

from __future__ import annotations

from collections.abc import Callable

from authproxy.backends.directory.names import PlainName, read_name
from authproxy.cli.ldap_client import LdapClient, ldap_way
from authproxy.config.model import LdapServerAuto
from authproxy.protocols.ldap.result import ResultCode, code_name
from authproxy.secret import Secret
from authproxy.values import light_dataclass


class NotABindName(Exception):
    """Not a name with which an application binds; the user has to act."""


@light_dataclass(frozen=True, slots=True)
class Bound:
    """The outcome, in words."""

    accepted: bool
    message: str


def check_name(user: str) -> None:
    """Raises NotABindName for a plain name: applications find its entry, and bind with what they found."""
    if isinstance(read_name(user), PlainName):
        raise NotABindName(
            f"applications don't bind as {user}, but by a DN, {user}@corp.example or CORP\\{user}: give it so"
        )


def ldap_login(
    section: LdapServerAuto,
    user: str,
    password: Secret,
    *,
    server: tuple[str, int] | None,
    timeout: float | None,
    waiting: Callable[[float], None],
) -> Bound:
    """Raises NotThere."""
    with LdapClient(ldap_way(section, server)) as client:
        # A little longer than the proxy: its own answer to a login that is given up is worth having.
        result = client.bind(user, password, timeout or section.login_patience + 2, waiting)
    if result.code == ResultCode.SUCCESS:
        return Bound(True, "")
    said = "".join(letter for letter in result.diagnostic if letter.isprintable())
    return Bound(False, f"{result.code} {code_name(result.code)}: {said}".rstrip(": "))
