"""YAML: the safe part, every mistake with its line, and no text that quietly becomes something else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from authproxy.config import yaml_syntax
from authproxy.config.document import Entries, Items, Malformed, Scalar, Style
from authproxy.config.emit import plain_or_quoted, quoted
from authproxy.config.load import load
from authproxy.config.problems import InvalidConfig
from authproxy.config.yaml_syntax import other_meaning, read_yaml
from tests.config.files import DIRECTORY, WHOLE, loaded, problems


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """libyaml's parser and PyYAML's own: whichever an installation has, a file means the same."""
    if not hasattr(yaml, request.param):
        reason = "PyYAML was built without libyaml: install a PyYAML wheel"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    monkeypatch.setattr(yaml_syntax, "_LOADER", getattr(yaml, request.param))


def with_secret(written: str) -> str:
    return WHOLE + f"    - name: trap\n      ip: 10.9.0.1\n      secret: {written}\n"


def test_a_tree_knows_its_lines() -> None:
    tree, flaws = read_yaml("a:\n  b: [x,\n    y]\n  c:\n    - {d: 1}\n")
    assert not flaws
    assert isinstance(section := tree["a"], Entries)
    assert section.lines == {"b": 2, "c": 4}
    assert isinstance(listed := section["b"], Items)
    assert [item.line for item in listed] == [2, 3]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("written", "meaning"),
    [
        ("no", "true or false"),
        ("On", "true or false"),
        ("y", "true or false"),
        ("0123", "a number"),
        ("0o17", "a number"),
        ("0x1F", "a number"),
        ("1e5", "a number"),
        ("1_000", "a number"),
        ("12:30:45", "a number"),
        (".5", "a number"),
        ("-7", "a number"),
        ("+.inf", "a number"),
        (".NaN", "a number"),
        ("2024-01-01", "a date"),
        ("2024-01-01 12:00:00", "a date"),
        ("~", "nothing"),
        ("null", "nothing"),
        ("<<", "a merge key"),
    ],
)
def test_a_plain_secret_that_yaml_takes_for_something_else_is_told_and_not_changed(
    tmp_path: Path, written: str, meaning: str
) -> None:
    assert problems(tmp_path, with_secret(written)) == [
        f"authproxy.yaml:14: radius_server_auto.clients[1].secret: "
        f"put it in quotes: without them YAML takes it for {meaning}"
    ]


@given(st.from_regex(r"[-+.:_0-9a-fA-FxXoOeEinNyYsSofF~TZ ]{1,12}", fullmatch=True))
@example("1e5")
@example("0o17")
def test_whatever_pyyaml_takes_for_something_else_is_known(text: str) -> None:
    try:
        value = yaml.safe_load(f"a: {text}")["a"]
    except (yaml.YAMLError, ValueError):
        return
    if not isinstance(value, str | dict | list) and text == text.strip() and text:
        assert other_meaning(text)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("correct horse # battery", "put it in quotes: a # follows, and YAML ignores everything after it"),
        ("correct horse\n        battery staple", "put it in quotes: it continues in the next line"),
        ("", "has no value"),
        ('""', "has no value"),
        ("[a, b]", "a secret is expected here, not a list"),
        (
            "{fiel: x}",
            "a secret is text in quotes, or {SOURCE: …} with one of file, env, credential, protected",
        ),
        ("{file: a, env: b}", "a secret is text in quotes, or {SOURCE: …}"),
        ("|\n        two\n        lines", "holds a line break or another control character"),
        (r'"a\0bcdefghij"', "holds a line break or another control character"),
    ],
)
def test_a_secret_that_may_have_lost_something_is_refused(tmp_path: Path, written: str, what: str) -> None:
    (problem,) = problems(tmp_path, with_secret(written))
    assert problem.startswith(f"authproxy.yaml:14: radius_server_auto.clients[1].secret: {what}")


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    "written", ["@home-and-away", "%percent-sign", "`backticks`", "a: b", "'unclosed", "[open", "{open"]
)
def test_what_yaml_cannot_read_is_told_with_the_remedy_and_without_the_text(
    tmp_path: Path, written: str
) -> None:
    (problem,) = problems(tmp_path, with_secret(written))
    assert "not YAML" in problem
    assert "quotes" in problem
    assert written.strip("'[{`@%") not in problem.removeprefix("authproxy.yaml:14: ")


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("!tagged", "! is a YAML tag, which is not supported; put the value in quotes"),
        ("!!python/object/apply:os.system [ls]", "! is a YAML tag"),
        ("&anchor text-behind-it", "& and * are YAML anchors and aliases"),
        ("*alias", "& and * are YAML anchors and aliases"),
        (r'"\ud800 half a character"', ""),  # libyaml and PyYAML have their own words for it
    ],
)
def test_tags_anchors_and_aliases_are_refused(tmp_path: Path, written: str, what: str) -> None:
    assert any(
        problem.startswith("authproxy.yaml:14") and what in problem
        for problem in problems(tmp_path, with_secret(written))
    )


@pytest.mark.usefixtures("parser")
def test_an_alias_bomb_costs_nothing(tmp_path: Path) -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30))
    assert problems(tmp_path, f"l0: &l0 [x]\n{levels}\n")


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused(tmp_path: Path, opening: str) -> None:
    (problem,) = problems(tmp_path, "main:\n  " + opening * 5000)
    assert "nested deeper" in problem or "not YAML" in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "authproxy.yaml: empty: there is no section, so there is nothing to run"),
        ("# only a comment\n", "authproxy.yaml: empty: there is no section, so there is nothing to run"),
        (
            "- a\n- b\n",
            "authproxy.yaml:1: sections are expected: a name, a colon, its options indented below",
        ),
        (
            "just text\n",
            "authproxy.yaml:1: sections are expected: a name, a colon, its options indented below",
        ),
        (
            WHOLE + "---\na: b\n",
            "authproxy.yaml:12: a second document begins here; a file can contain only one",
        ),
        ("main: 7\n", "authproxy.yaml:1: main: options are expected below it: a name, a colon, a value"),
        ("? [a]\n: b\n", "authproxy.yaml:1: a name is expected before the colon"),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(expected)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("text", ["main:\n\tlog_dir: c\n", "main:\n  log_dir: c\n\tadmin: d\n"])
def test_tabs(tmp_path: Path, text: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.endswith(": not YAML: this line is indented with a tab; use spaces")


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("text", ["[main]\nlog_dir=x\n", "; old\n\n# too\n[radius_server_auto2]\n", "[main]"])
def test_a_cfg_that_is_called_yaml(tmp_path: Path, text: str) -> None:
    (problem,) = problems(tmp_path, text)
    line = text.count("\n", 0, text.index("[")) + 1
    assert problem.startswith(f"authproxy.yaml:{line}: this is the syntax of a .cfg: ")


@pytest.mark.usefixtures("parser")
def test_what_comes_twice_is_told_each_time(tmp_path: Path) -> None:
    text = WHOLE + "  failmode: safe\n  failmode: secure\nad_client:\n  host: other\n"
    assert problems(tmp_path, text) == [
        "authproxy.yaml:13: radius_server_auto.failmode: is already in line 12",
        "authproxy.yaml:14: ad_client: is already in line 1",
    ]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"main:\n  log_dir: \xe4\xf6\n", "authproxy.yaml:2: not UTF-8 (octet 18): save the file as UTF-8"),
        (
            "main:\n".encode("utf-16"),
            "authproxy.yaml:1: not UTF-8 (octet 1): save the file as UTF-8, it looks like UTF-16",
        ),
        (b"main:\n  a: \0\n", "authproxy.yaml:2: the character U+0000 isn't allowed in a configuration"),
        (
            b"main:\n  a: \x1b[31m\n",
            "authproxy.yaml:2: the character U+001B isn't allowed in a configuration",
        ),
        (b"a: b\n" * 300_000, "authproxy.yaml: longer than 1048576 bytes"),
    ],
)
def test_octets_that_are_no_text(tmp_path: Path, octets: bytes, expected: str) -> None:
    (problem,) = problems(tmp_path, octets)
    assert problem.startswith(expected)


@pytest.mark.usefixtures("parser")
def test_a_mark_at_the_beginning_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    crlf = b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode()
    assert loaded(tmp_path, crlf).config == loaded(tmp_path, WHOLE).config


@pytest.mark.usefixtures("parser")
def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    assert problems(tmp_path, DIRECTORY, "authproxy.txt") == [
        "authproxy.txt: its name has to end in .yaml, .yml, .cfg or .ini, which says its syntax"
    ]
    (tmp_path / "folder.yaml").mkdir()
    for name, what in (("none.yaml", "No such file or directory"), ("folder.yaml", "Is a directory")):
        with pytest.raises(InvalidConfig, match=what):
            load(tmp_path / name, {})


@given(st.text(st.characters(codec="utf-8"), max_size=40))
@example('é\u2028\x85\U0001f600"\\')
def test_quoted_undoes_reading(text: str) -> None:
    tree, flaws = read_yaml(f"a: {quoted(text)}\n")
    assert not flaws
    assert isinstance(value := tree["a"], Scalar)
    assert (value.text, value.style) == (text, Style.QUOTED)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
@example("no")
@example("1e5")
@example("a:b")
@example("a: b")
@example("fe80::1")
@example("a #b")
def test_plain_or_quoted_is_text_to_every_reader(text: str) -> None:
    document = f"a: {plain_or_quoted(text)}\nb: [{plain_or_quoted(text)}]\n"
    tree, _ = read_yaml(document)
    assert isinstance(value := tree["a"], Scalar)
    assert value.text == text
    assert yaml.safe_load(document) == {"a": text, "b": [text]}


@given(
    st.text(st.characters(codec="utf-8"), max_size=200) | st.text("a:-[]{}&*!|>'\"%@`#,\n \t?", max_size=60)
)
def test_garbage_raises_malformed_or_reads(text: str) -> None:
    try:
        tree, _ = read_yaml(text)
    except Malformed:
        return
    except yaml.reader.ReaderError:
        return  # characters that reading a file has refused before
    assert isinstance(tree, Entries)


@pytest.mark.usefixtures("parser")
def test_options_of_a_section_without_options(tmp_path: Path) -> None:
    assert loaded(tmp_path, "main:\n" + WHOLE).config.main.debug is False
    assert problems(tmp_path, DIRECTORY + "radius_server_auto: {}\n") == [
        f"authproxy.yaml:6: radius_server_auto.{option}: missing"
        for option in ("api_host", "clients", "ikey", "skey")
    ]
