"""Every printable secret survives both syntaxes (S5); sources say what is wrong; sealed ones open here only (S3)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authproxy.config.emit import quoted
from authproxy.config.load import load_text
from authproxy.config.model import AdClient
from authproxy.config.problems import InvalidConfig
from authproxy.config.reading import SecretUnavailable
from authproxy.config.sealing import KEY_FILE, SealingKey, find_key, make_key, seal, unseal
from authproxy.secret import Secret
from tests.config.files import CFG_DIRECTORY, CFG_SERVER, WHOLE, loaded, problems, warnings, written

PRINTABLE = st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S", "Zs"])
ASCII = st.characters(min_codepoint=0x20, max_codepoint=0x7E)


def password(text: str, name: str) -> Secret:
    config = load_text(text, Path(name), {}, touch=False).config
    return config.all(AdClient)["ad_client"].service_account_password


@given(st.text(PRINTABLE, min_size=1) | st.text(ASCII, min_size=1))
@example("#")
@example(";")
@example("%(x)s")
@example('"')
@example("\\")
@example("{file: x}")
@example("no")
@example("\u00a0x")
def test_any_printable_secret_survives_yaml(secret: str) -> None:
    text = WHOLE.replace('"opensesame"', quoted(secret))
    assert password(text, "a.yaml").reveal() == secret.encode()


@given(
    (st.text(PRINTABLE, min_size=1) | st.text(ASCII, min_size=1)).filter(lambda text: text == text.strip())
)
@example("#")
@example("; x")
@example("%(x)s")
@example("=a=:b")
@example("[x]")
@example('"quoted"')
@example("{file: x}")
def test_any_printable_secret_survives_cfg(secret: str) -> None:
    text = CFG_DIRECTORY.replace("opensesame", secret) + CFG_SERVER
    assert password(text, "a.cfg").reveal() == secret.encode()


@given(st.text(ASCII, min_size=1, max_size=30))
def test_a_secret_without_quotes_is_itself_or_refused(secret: str) -> None:
    """What an administrator types without thinking of YAML is never changed silently."""
    try:
        read = password(WHOLE.replace('"opensesame"', secret), "a.yaml").reveal().decode()
    except InvalidConfig:
        return
    # In quotes already, it is YAML that its author meant.
    assert read == secret.strip() or secret.strip()[0] in "\"'{#|>"


def test_a_source_each(tmp_path: Path) -> None:
    written(tmp_path, "from-file\n", "secret")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    written(credentials, "from-credential", "bind")
    environ = {"S": "from-env", "CREDENTIALS_DIRECTORY": str(credentials)}
    for source, expected in (
        ("{file: secret}", "from-file"),
        (f"{{file: {tmp_path}/secret}}", "from-file"),
        ("{env: S}", "from-env"),
        ("{credential: bind}", "from-credential"),
    ):
        config = loaded(tmp_path, WHOLE.replace('"opensesame"', source), environ=environ).config
        assert config.all(AdClient)["ad_client"].service_account_password == Secret.of(expected)


@pytest.mark.parametrize(
    ("octets", "secret"),
    [
        (b"abc", b"abc"),
        (b"abc\n", b"abc"),
        (b"abc\r\n", b"abc"),
        (b"abc\n\n", b"abc\n"),
        (b"abc\r", b"abc\r"),
        (b" abc ", b" abc "),
        (b"\xff\x00\xfe", b"\xff\x00\xfe"),
    ],
)
def test_one_line_end_of_a_file_is_the_editors(tmp_path: Path, octets: bytes, secret: bytes) -> None:
    written(tmp_path, octets, "secret")
    config = loaded(tmp_path, WHOLE.replace('"opensesame"', "{file: secret}")).config
    assert config.all(AdClient)["ad_client"].service_account_password.reveal() == secret


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{file: none}", "none: No such file or directory"),
        ("{file: .}", "Is a directory"),
        ("{file: empty}", "empty: empty"),
        ("{file: large}", "longer than 65536 bytes"),
        ("{file: 0123}", "file: put it in quotes: YAML takes it for a number"),
        (r'{file: "a\0b"}', "file: holds a NUL"),
        ("{file: [a]}", "file: has no value"),
        ("{file: }", "file: has no value"),
        ("{env: NONE}", "NONE is not in the environment"),
        ("{env: EMPTY}", "EMPTY is empty"),
        ("{credential: x}", "$CREDENTIALS_DIRECTORY is not set"),
        ("{protected: AQAAANCMnd8BFdERjHoAwE}", "not sealed by `authproxy secret protect`"),
        ("{protected: v1.AAAA}", "not sealed by `authproxy secret protect`"),
    ],
)
def test_sources_that_give_nothing(tmp_path: Path, source: str, expected: str) -> None:
    written(tmp_path, "", "empty")
    written(tmp_path, b"x" * 70_000, "large")
    (problem,) = problems(tmp_path, WHOLE.replace('"opensesame"', source), environ={"EMPTY": ""})
    assert problem.startswith("authproxy.yaml:4: ad_client.service_account_password: ")
    assert expected in problem


@pytest.mark.parametrize("name", ["../passwd", "/etc/passwd", ".hidden"])
def test_a_credential_is_no_path(tmp_path: Path, name: str) -> None:
    text = WHOLE.replace('"opensesame"', f'{{credential: "{name}"}}')
    (problem,) = problems(tmp_path, text, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert "a credential is a name, not a path" in problem


# ---- sealed


@pytest.fixture
def key(tmp_path: Path) -> SealingKey:
    make_key(tmp_path / "state")
    return find_key(tmp_path / "state", {})


@given(st.binary(min_size=1, max_size=200))
def test_unseal_undoes_seal(octets: bytes) -> None:
    key = SealingKey(Secret(b"k" * 32), "a test")
    token = seal(Secret(octets), key)
    assert unseal(token, key).reveal() == octets


def test_no_two_seals_are_alike(key: SealingKey) -> None:
    assert len({seal(Secret(b"same"), key) for _ in range(100)}) == 100


def test_a_forged_or_damaged_seal_opens_nothing(key: SealingKey) -> None:
    token = seal(Secret(b"opensesame"), key)
    for position in range(3, len(token)):
        forged = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        try:
            opened = unseal(forged, key)
        except SecretUnavailable:
            continue
        # The last character has bits that belong to no octet.
        assert position == len(token) - 1
        assert opened.reveal() == b"opensesame"
    for cut in range(len(token)):
        with pytest.raises(SecretUnavailable):
            unseal(token[:cut], key)


@given(st.text(max_size=80) | st.from_regex(r"v1\.[A-Za-z0-9_-]{0,80}", fullmatch=True))
def test_garbage_raises_its_one_error(token: str) -> None:
    with pytest.raises(SecretUnavailable):
        unseal(token, SealingKey(Secret(b"k" * 32), "a test"))


def test_a_sealed_secret_loads_where_it_was_sealed(tmp_path: Path, key: SealingKey) -> None:
    token = seal(Secret(b"opensesame"), key)
    text = "main:\n  state_dir: state\n" + WHOLE.replace('"opensesame"', f"{{protected: {token}}}")
    config = loaded(tmp_path, text).config
    assert config.all(AdClient)["ad_client"].service_account_password.reveal() == b"opensesame"
    known = text.replace(
        "service_account_password: {protected: ", "service_account_password_protected: "
    ).replace("}\n  search", "\n  search")
    assert loaded(tmp_path, known).config == config


def test_copied_elsewhere_it_is_refused(tmp_path: Path, key: SealingKey) -> None:
    """S3: with the configuration alone, with another key, and with the key on another machine."""
    token = seal(Secret(b"opensesame"), key)
    text = "main:\n  state_dir: FOLDER\n" + WHOLE.replace('"opensesame"', f"{{protected: {token}}}")
    (problem,) = problems(tmp_path, text.replace("FOLDER", "elsewhere"))
    assert "the secret was sealed on another machine, or for another main.state_dir" in problem
    make_key(tmp_path / "other")
    (problem,) = problems(tmp_path, text.replace("FOLDER", "other"))
    assert "sealed with another key than" in problem
    machine = written(tmp_path, "another-machine", "machine-id")
    with pytest.raises(SecretUnavailable, match="sealed with another key"):
        unseal(token, find_key(tmp_path / "state", {}, machine))


def test_a_credential_is_the_key_on_every_machine(tmp_path: Path) -> None:
    written(tmp_path, b"c" * 32, "authproxy-secret-key")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    token = seal(Secret(b"opensesame"), find_key(tmp_path / "none", environ))
    other = find_key(tmp_path / "none", environ, written(tmp_path, "another", "machine-id"))
    assert unseal(token, other).reveal() == b"opensesame"


def test_a_new_key_is_private_and_never_overwritten(tmp_path: Path, key: SealingKey) -> None:
    path = tmp_path / "state" / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(FileExistsError):
        make_key(tmp_path / "state")
    assert find_key(tmp_path / "state", {}).id == key.id


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o602, 0o660])
def test_a_key_that_others_have_is_no_key(tmp_path: Path, key: SealingKey, mode: int) -> None:
    (tmp_path / "state" / KEY_FILE).chmod(mode)
    with pytest.raises(SecretUnavailable, match="others can read or change this key"):
        find_key(tmp_path / "state", {})


def test_a_key_of_no_length(tmp_path: Path, key: SealingKey) -> None:
    (tmp_path / "state" / KEY_FILE).write_bytes(b"short")
    with pytest.raises(SecretUnavailable, match="not a key"):
        find_key(tmp_path / "state", {})


# ---- plain and protected side by side, as existing files have it


def test_in_a_cfg_what_can_be_opened_counts(tmp_path: Path, key: SealingKey) -> None:
    token = seal(Secret(b"sealed"), key)
    ours = f"[main]\nstate_dir=state\n{CFG_DIRECTORY}service_account_password_protected={token}\n{CFG_SERVER}"
    theirs = ours.replace(token, "AQAAANCMnd8BFdERjHoAwE")
    for text, expected, note in (
        (
            ours,
            b"sealed",
            ":6: ad_client.service_account_password: ignored: service_account_password_protected is there",
        ),
        (theirs, b"opensesame", ":8: ad_client.service_account_password_protected: ignored"),
    ):
        config = loaded(tmp_path, text, "authproxy.cfg").config
        assert config.all(AdClient)["ad_client"].service_account_password.reveal() == expected
        assert any(note in warning for warning in warnings(tmp_path, text, "authproxy.cfg"))


def test_in_yaml_a_secret_stands_once(tmp_path: Path) -> None:
    text = WHOLE.replace("  search_dn", "  service_account_password_protected: v1.x\n  search_dn")
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("authproxy.yaml:5: ad_client.service_account_password_protected: ")
    assert problem.endswith("service_account_password is the same option; keep one")


def test_the_number_comes_last(tmp_path: Path, key: SealingKey) -> None:
    token = seal(Secret(b"0123456789abcdef"), key)
    server = CFG_SERVER.replace("radius_secret_1=0123456789abcdef", f"radius_secret_protected_1={token}")
    sealed = f"[main]\nstate_dir=state\n{CFG_DIRECTORY}{server}"
    plain = f"[main]\nstate_dir=state\n{CFG_DIRECTORY}{CFG_SERVER}"
    assert loaded(tmp_path, sealed, "authproxy.cfg").config == loaded(tmp_path, plain, "authproxy.cfg").config


def test_no_secret_is_in_the_environment_of_a_child(tmp_path: Path) -> None:
    """Reading an environment secret leaves os.environ as it is: nothing is put there."""
    before = dict(os.environ)
    loaded(tmp_path, WHOLE)
    assert dict(os.environ) == before
