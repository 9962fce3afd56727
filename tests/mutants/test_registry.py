"""The registry fits the code and the tests that it names, and no critical or high requirement is missing."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.mutants.mutation import Mutation
from tests.mutants.proof import page
from tests.mutants.registry import ELSEWHERE, ITEMS, MUTATIONS, SHORT

ROOT = Path(__file__).parents[2]


def by_name(mutation: Mutation) -> str:
    return mutation.name


@pytest.mark.parametrize("mutation", MUTATIONS, ids=by_name)
def test_the_piece_that_is_taken_out_is_there_once(mutation: Mutation) -> None:
    whole = (ROOT / "authproxy" / mutation.file).read_text()
    assert whole.count(mutation.old) == 1
    broken = whole.replace(mutation.old, mutation.new)
    assert broken != whole
    if mutation.file.endswith(".py"):
        ast.parse(broken)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=by_name)
def test_the_tests_are_there(mutation: Mutation) -> None:
    assert mutation.tests
    for test in mutation.tests:
        file, _, inside = test.partition("::")
        names = inside.partition("[")[0].split("::") if inside else []
        assert names == [] or "::".join(names) in functions(file), test


def test_each_requirement_is_proved_or_says_why_not() -> None:
    proved = {item for mutation in MUTATIONS for item in mutation.items}
    explained = {entry.item for entry in ELSEWHERE}
    numbers = {item.number for item in ITEMS}
    assert numbers == proved | explained
    assert proved & explained == set()


def test_each_is_named_once() -> None:
    for names in ([item.number for item in ITEMS], [m.name for m in MUTATIONS], [e.item for e in ELSEWHERE]):
        assert [name for name, times in Counter(names).items() if times > 1] == []


def test_the_short_form_has_something_to_run() -> None:
    assert all(any(item in mutation.items for mutation in MUTATIONS) for item in SHORT)


def test_the_page_is_what_the_registry_says() -> None:
    assert (ROOT / "docs" / "proof.md").read_text() == page()


@cache
def functions(file: str) -> frozenset[str]:
    """test_x and TestY::test_x of a file under tests/."""
    found: set[str] = set()
    for node in ast.parse((ROOT / "tests" / file).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found.add(node.name)
            found.update(
                f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            )
        elif isinstance(node, ast.Assign):  # TestMachine = Machine.TestCase
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(found)
