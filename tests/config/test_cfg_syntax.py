"""The existing product's syntax: a line is an option, a section or a comment, and a value is what it looks like."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.config.cfg_syntax import read_cfg
from authproxy.config.document import Entries, Malformed, Scalar
from authproxy.config.load import load_text
from authproxy.config.model import AuthType, RadiusServerAuto, Transport
from authproxy.config.model.ad_client import AdClient
from authproxy.pipeline.fail_mode import FailMode
from tests.config.files import CFG_DIRECTORY, CFG_SERVER, CFG_WHOLE, loaded, problems


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("secret=a#b;c", "a#b;c"),
        ("secret = a # b ; c", "a # b ; c"),
        ("secret=100%sure %(here)s", "100%sure %(here)s"),
        ("secret=a=b:c", "a=b:c"),
        ("secret: colon", "colon"),
        ('secret="quoted"', '"quoted"'),
        ("SECRET=Case", "Case"),
        ("secret=  spaces  ", "spaces"),
        ("secret={file: x}", "{file: x}"),
        ("secret=[brackets]", "[brackets]"),
        ("secret=", ""),
        ("  secret=indented", "indented"),
        ("secret=\ufeffmark", "\ufeffmark"),
        ("secret=a\u2028b", "a\u2028b"),
    ],
)
def test_values_are_the_rest_of_the_line(line: str, value: str) -> None:
    tree, flaws = read_cfg(f"[main]\n{line}\n")
    assert not flaws
    assert isinstance(section := tree["main"], Entries)
    assert isinstance(scalar := section["secret"], Scalar)
    assert scalar.text == value
    assert section.lines["secret"] == 2


@given(st.text(st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S", "Zs"]), min_size=1))
def test_a_printable_value_is_kept(text: str) -> None:
    """S5. White space around a value is the syntax's; within it is the value's."""
    tree, flaws = read_cfg(f"[s]\no={text}\n")
    assert not flaws
    assert isinstance(section := tree["s"], Entries)
    assert isinstance(scalar := section["o"], Scalar)
    assert scalar.text == text.strip()


def test_comments_stand_on_lines_of_their_own() -> None:
    tree, flaws = read_cfg("; first\n# second\n[main] ; behind a section\n  ; third\nlog_dir=log\n")
    assert not flaws
    assert tree.comments["main"] == ("first", "second")
    assert isinstance(main := tree["main"], Entries)
    assert main.comments["log_dir"] == ("third",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=1\n" + CFG_WHOLE, "authproxy.cfg:1: x: is before the first [section]"),
        ("[main\n" + CFG_WHOLE, "authproxy.cfg:1: not a section: a name in brackets is expected"),
        ("[]\n" + CFG_WHOLE, "authproxy.cfg:1: not a section: a name in brackets is expected"),
        ("[main] debug=true\n" + CFG_WHOLE, "authproxy.cfg:1: not a section: a name in brackets is expected"),
        (CFG_WHOLE + "hunter2\n", "authproxy.cfg:12: radius_server_auto: neither [section] nor name=value"),
        (
            CFG_WHOLE + "  more of it=1\n",
            "authproxy.cfg:12: radius_server_auto: neither [section] nor name=value",
        ),
        (
            CFG_WHOLE + "  more=1\n",
            "authproxy.cfg:12: radius_server_auto.more: indented more than the line above, as if the value went on",
        ),
        (
            CFG_WHOLE + "FAILMODE=safe\nfailmode=safe\n",
            "authproxy.cfg:13: radius_server_auto.failmode: is already in line 12",
        ),
        (CFG_WHOLE + "[AD_Client]\n", "authproxy.cfg:12: ad_client: this section is already in line 1"),
        ("", "authproxy.cfg: empty: there is no section, so there is nothing to run"),
        ("; nothing\n", "authproxy.cfg: empty: there is no section, so there is nothing to run"),
    ],
)
def test_what_is_no_line_of_it(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text, "authproxy.cfg")
    assert found[0].startswith(expected)
    assert not any("hunter2" in problem for problem in found)


def test_options_indented_alike_are_fine(tmp_path: Path) -> None:
    indented = CFG_WHOLE.replace("\n", "\n  ").replace("  [", "[")
    assert (
        loaded(tmp_path, indented, "authproxy.cfg").config
        == loaded(tmp_path, CFG_WHOLE, "authproxy.cfg").config
    )


def test_what_its_users_rely_on_stays_as_they_know_it(tmp_path: Path) -> None:
    config = loaded(tmp_path, CFG_WHOLE, "authproxy.cfg").config
    assert config.all(AdClient)["ad_client"].transport is Transport.CLEAR
    assert config.all(AdClient)["ad_client"].auth_type is AuthType.NTLM2
    assert config.all(RadiusServerAuto)["radius_server_auto"].failmode is FailMode.SAFE


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("TRUE", True),
        ("1", True),
        ("42", True),
        ("false", False),
        ("False", False),
        ("0", False),
    ],
)
def test_flags(tmp_path: Path, written: str, value: bool) -> None:
    text = CFG_DIRECTORY + CFG_SERVER + f"allow_concat={written}\n"
    assert (
        loaded(tmp_path, text, "authproxy.cfg")
        .config.all(RadiusServerAuto)["radius_server_auto"]
        .allow_concat
        is value
    )


@pytest.mark.parametrize("written", ["yes", "on", "-1", "1.0", ""])
def test_what_is_no_flag(tmp_path: Path, written: str) -> None:
    (problem,) = problems(tmp_path, CFG_WHOLE + f"allow_concat={written}\n", "authproxy.cfg")
    assert problem == "authproxy.cfg:12: radius_server_auto.allow_concat: write true or false"


def test_words_mind_no_case_and_lists_have_commas(tmp_path: Path) -> None:
    text = CFG_WHOLE + "failmode=Secure\nfactors=push, Phone ,passcode\nconcat_mode=false\n"
    section = loaded(tmp_path, text, "authproxy.cfg").config.all(RadiusServerAuto)["radius_server_auto"]
    assert section.failmode is FailMode.SECURE
    assert [factor.value for factor in section.factors] == ["push", "phone", "passcode"]
    assert section.allow_concat is False


def test_a_relative_log_dir_starts_above_conf(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    text = "[main]\nlog_dir=log\n" + CFG_WHOLE
    assert loaded(tmp_path / "conf", text, "authproxy.cfg").config.main.log_dir == tmp_path / "log"
    assert loaded(tmp_path, text, "authproxy.cfg").config.main.log_dir == tmp_path / "log"


@given(st.text(st.characters(codec="utf-8"), max_size=200) | st.text("[]=:;# \t\nab", max_size=60))
def test_garbage_is_flaws_or_reads(text: str) -> None:
    try:
        tree, _ = read_cfg(text)
    except Malformed:
        return
    assert isinstance(tree, Entries)


def test_loading_text_needs_no_file() -> None:
    assert load_text(CFG_WHOLE, Path("none.cfg"), {}).config.sections


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("radius_secret_2=0123456789abcdef ; the ASA", "this isn't a comment here, but part of the value"),
        ("radius_secret_2=0123456789abcdef  # the ASA", "this isn't a comment here, but part of the value"),
        ('radius_secret_2="0123456789abcdef"', "is in quotes, which are part of the value"),
        ("radius_secret_2=0123456789abcdef#;'", ""),
    ],
)
def test_what_looks_like_a_comment_or_quotes_is_told(tmp_path: Path, line: str, what: str) -> None:
    """The existing product takes it to the letter, and so do we; who wrote it may have meant something else."""
    made = loaded(tmp_path, f"{CFG_WHOLE}radius_ip_2=10.9.0.1\n{line}\n", "authproxy.cfg")
    told = [warning for warning in made.warnings if warning.option == "radius_secret_2"]
    assert ([warning.what for warning in told] or [""])[0].endswith(what)
    assert len(told) == bool(what)
    assert "0123" not in str(told)
    (section,) = made.config.all(RadiusServerAuto).values()
    assert section.clients[1].secret.reveal() == line.partition("=")[2].encode()
