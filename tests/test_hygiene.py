"""Rules for all of the code that no type checker knows (S6, S7)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from authproxy.secret import Secret

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "authproxy").rglob("*.py"))
# What is compared under these names proves something.
PROOF = re.compile(r"(^|_)(mac|hmac|digest|authenticator|signature|token)s?(_|$)|hmac_md5|reveal|^_octets$")
# Seconds between retransmissions: nobody gains by guessing them.
JITTER = {"backends/radius/server.py", "backends/radius/tls_server.py", "cli/radius_client.py"}


def inside(path: Path) -> str:
    return str(path.relative_to(ROOT / "authproxy"))


def names_in(node: ast.expr) -> Iterator[str]:
    """What an operand is called: `packet.tag`, `hmac_md5(…)`, `digest[:8]`."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Attribute(attr=name):
            yield name
        case ast.Call(func=function):
            yield from names_in(function)
        case ast.Subscript(value=value):
            yield from names_in(value)
        case _:
            return


def unequal_in_time(tree: ast.Module) -> Iterator[int]:
    """Lines where proofs are compared by == or !=. A constant is nothing to guess; a Secret sees to it itself."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        operands = [node.left, *node.comparators]
        if any(isinstance(operand, ast.Constant) or _is_word(operand) for operand in operands):
            continue
        if any(PROOF.search(name) for operand in operands for name in names_in(operand)):
            yield node.lineno


def _is_word(node: ast.expr) -> bool:
    """MESSAGE_AUTHENTICATOR, Refusal.BAD_TOKEN: numbers of the protocol."""
    names = list(names_in(node))
    return bool(names) and all(name.isupper() for name in names)


@pytest.mark.parametrize("module", MODULES, ids=inside)
def test_what_authenticates_is_compared_in_constant_time(module: Path) -> None:
    """S6"""
    assert list(unequal_in_time(ast.parse(module.read_text()))) == []


@pytest.mark.parametrize(
    "line", ["mac == expected", "digest_of(x) != given", "a.token == b", "one.reveal() == two.reveal()"]
)
def test_the_rule_sees_them(line: str) -> None:
    assert list(unequal_in_time(ast.parse(line))) == [1]


def test_secrets_are_equal_or_not() -> None:
    assert Secret(b"one") == Secret(b"one")
    assert Secret(b"one") != Secret(b"two")
    assert Secret(b"one") != b"one"


@pytest.mark.parametrize("module", MODULES, ids=inside)
def test_nothing_secret_comes_from_random(module: Path) -> None:
    """S7: `random` may be guessed; `secrets`, os.urandom and SystemRandom may not."""
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.ImportFrom(module="random"):
                pytest.fail(f"line {node.lineno}")
            case ast.Attribute(value=ast.Name(id="random"), attr=name):
                assert name == "SystemRandom" or (name == "uniform" and inside(module) in JITTER), node.lineno
            case _:
                pass
