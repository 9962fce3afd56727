"""The YAML means what the `.cfg` meant, to the last character of each secret; the report holds none of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authproxy.config.convert import Converted, convert
from authproxy.config.load import load, load_text
from authproxy.config.model import AdClient, RadiusServerAuto
from authproxy.config.problems import InvalidConfig
from authproxy.config.sealing import find_key, make_key, seal
from authproxy.secret import Secret
from tests.config.files import CFG_DIRECTORY, CFG_SERVER, CFG_WHOLE, SKEY, written


def converted(folder: Path, text: str) -> Converted:
    return convert(written(folder, text, "authproxy.cfg"), folder)


def report(made: Converted) -> str:
    return "\n".join([*made.changed, *made.differs, *map(str, made.risky), *made.unsupported])


def test_defaults_are_written_out(tmp_path: Path) -> None:
    """F2: what was open without a word is open with one."""
    made = converted(tmp_path, CFG_WHOLE)
    for line in (
        "  failmode: safe",
        "  transport: clear",
        "  auth_type: ntlm2",
        "  require_message_authenticator: auto",
    ):
        assert line in made.yaml.splitlines()
    assert "radius_server_auto.failmode: was not set, which means safe; written out" in made.changed
    assert any("users get in on a password alone" in str(risk) for risk in made.risky)


def test_the_whole_of_it(tmp_path: Path) -> None:
    made = converted(
        tmp_path,
        "; first\n[main]\n; logs\nlog_dir=log\ndebug=0\n\n" + CFG_DIRECTORY + "host_2=two\n" + CFG_SERVER,
    )
    assert made.yaml.splitlines()[2:] == [
        "# first",
        "main:",
        "  # logs",
        "  log_dir: log",
        "  debug: false",
        "",
        "ad_client:",
        "  host: [dc1.corp.example, two]",
        "  service_account_username: svc",
        '  service_account_password: "opensesame"',
        '  search_dn: "DC=corp,DC=example"',
        "  transport: clear",
        "  auth_type: ntlm2",
        "",
        "radius_server_auto:",
        "  ikey: DIXXXXXXXXXXXXXXXXXX",
        f'  skey: "{SKEY}"',
        "  api_host: api-xxxxxxxx.example.com",
        "  clients:",
        '    - {ip: 10.1.0.0/24, secret: "0123456789abcdef"}',
        "  failmode: safe",
        "  port: 1812",
        "  require_message_authenticator: auto",
    ]


def test_what_works_differently_is_told_of_whom_it_concerns(tmp_path: Path) -> None:
    """Once, with their names: the existing product tries a second time in these kinds only."""
    kinds = ("challenge", "concat", "duo_only", "auto2")
    more = "".join(
        CFG_SERVER.replace("radius_server_auto", f"radius_server_{kind}") + f"port={port}\n"
        for port, kind in enumerate(kinds, 1813)
    )
    off = CFG_SERVER.replace("server_auto", "server_auto3") + "port=1820\nallow_concat=false\n"
    made = converted(tmp_path, CFG_WHOLE + more + off)
    (tried,) = (line for line in made.differs if "a password is tried once" in line)
    assert tried.startswith("radius_server_auto, radius_server_auto2: ")
    (signed,) = (line for line in made.differs if "Message-Authenticator" in line)
    assert signed.startswith("radius_server_auto, radius_server_challenge, radius_server_concat, ")


PRINTABLE = st.text(
    st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S", "Zs"]), min_size=8, max_size=24
)
SECRETS = PRINTABLE.filter(lambda text: text == text.strip())
WORDS = SECRETS | st.sampled_from(
    ["no", "0123", "1e5", "2024-01-01", "~", "a: b", "a #b", "{x: y}", "- a", "é", "'", '"']
)


@st.composite
def cfg(draw: st.DrawFn) -> str:
    """A valid file with much in it."""
    lines = ["[main]"]
    for option in draw(st.sets(st.sampled_from(["debug", "log_stdout", "log_auth_events"]))):
        lines.append(f"{option}={draw(st.sampled_from(['true', 'False', '0', '7']))}")
    lines += ["[ad_client]", "host=dc1.corp.example", f"service_account_username={draw(WORDS)}"]
    lines += [f"host_{n}=10.0.0.{n}" for n in range(2, draw(st.integers(2, 5)))]
    lines += [
        f"service_account_password={draw(SECRETS)}",
        "search_dn=DC=corp",
        f"ntlm_domain={draw(WORDS | st.just(''))}",
    ]
    if draw(st.booleans()):
        lines.append(f"transport={draw(st.sampled_from(['clear', 'starttls', 'LDAPS']))}")
    lines += ["[radius_server_auto]", "ikey=DIXXXXXXXXXXXXXXXXXX", f"skey={SKEY}", "api_host=api.example.com"]
    for number in range(1, draw(st.integers(2, 6))):
        network = draw(
            st.sampled_from(["10.{}.0.1", "10.{}.0.0/24", "10.{}.0.0/255.255.0.0", "10.{0}.0.1-10.{0}.0.9"])
        )
        lines += [f"radius_ip_{number}={network.format(number)}", f"radius_secret_{number}={draw(SECRETS)}"]
    for option, values in (
        ("failmode", ["safe", "SECURE", "silent"]),
        ("factors", ["auto", "push,phone", " push , passcode "]),
        ("concat_mode", ["true", "false"]),
        ("delimiter", [",", "#", ";", ":", "no"]),
        ("api_timeout", ["0", "30"]),
        ("pw_codec", ["utf-8", "latin-1"]),
        ("exempt_username_1", ["bob", "no", "0123"]),
    ):
        if draw(st.booleans()):
            lines.append(f"{option}={draw(st.sampled_from(values))}")
    return "\n".join(lines) + "\n"


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(text=cfg())
def test_the_yaml_means_the_same(tmp_path: Path, text: str) -> None:
    made = converted(tmp_path, text)
    before = load_text(text, tmp_path / "authproxy.cfg", {}, touch=False).config
    after = load_text(made.yaml, tmp_path / "authproxy.yaml", {}, touch=False).config
    assert after.main == before.main
    assert after.sections == before.sections


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=SECRETS)
def test_the_report_holds_no_secret(tmp_path: Path, secret: str) -> None:
    canary = f"canary{secret}"
    text = CFG_DIRECTORY.replace("opensesame", canary) + CFG_SERVER.replace("0123456789abcdef", canary)
    text += f"[cloud]\nskey={canary}\n"
    made = converted(tmp_path, text)
    assert (
        canary
        in load_text(made.yaml, tmp_path / "a.yaml", {}, touch=False)
        .config.all(AdClient)["ad_client"]
        .service_account_password.reveal()
        .decode()
    )
    assert "canary" not in report(made)


def test_a_sealed_secret_stays_sealed(tmp_path: Path) -> None:
    make_key(tmp_path / "state")
    token = seal(Secret.of(SKEY), find_key(tmp_path / "state", {}))
    text = (
        "[main]\nstate_dir=state\n"
        + CFG_DIRECTORY
        + CFG_SERVER.replace(f"skey={SKEY}", f"skey_protected={token}")
    )
    made = converted(tmp_path, text)
    assert f'  skey: {{protected: "{token}"}}' in made.yaml
    section = load(written(tmp_path, made.yaml, "new.yaml"), {}).config.all(RadiusServerAuto)[
        "radius_server_auto"
    ]
    assert section.skey == Secret.of(SKEY)


def test_what_is_not_served_is_left_out_and_said(tmp_path: Path) -> None:
    text = (
        CFG_WHOLE
        + "client=ad_client\n[cloud]\nikey=x\n[http_proxy]\napi_host=a.example\n"
        + CFG_SERVER.replace("auto]", "auto2]").replace("10.1.0.0/24", "10.9.0.0/24")
        + "client=ad_client\n[sso]\nrikey=x\n"
    )
    made = converted(tmp_path, text)
    assert [line.split(":")[0] for line in made.unsupported] == ["cloud", "sso"]
    config = load_text(made.yaml, tmp_path / "a.yaml", {}, touch=False).config
    assert list(config.sections) == ["ad_client", "radius_server_auto", "http_proxy", "radius_server_auto2"]
    assert "# Left out: cloud: " in made.yaml


def test_what_does_nothing_is_left_out_and_said(tmp_path: Path) -> None:
    made = converted(tmp_path, "[main]\nlog_sso_events=false\n" + CFG_WHOLE)
    assert any(change.startswith("main.log_sso_events: ") for change in made.changed)
    assert "sso" not in made.yaml


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("fail_mode=secure\n", "fail_mode: unknown option (did you mean failmode?)"),
        ("failmode=closed\n", "closed is not one of safe, secure, silent"),
        ("[radius_server_atuo]\n", "unknown section"),
        ("skey_protected=AQAA\n", ""),
    ],
)
def test_nothing_is_guessed(tmp_path: Path, more: str, expected: str) -> None:
    if not expected:
        assert converted(tmp_path, CFG_WHOLE + more).yaml
        return
    with pytest.raises(
        InvalidConfig, match=expected.replace("(", r"\(").replace("?", r"\?").replace(")", r"\)")
    ):
        converted(tmp_path, CFG_WHOLE + more)


def test_what_another_program_sealed_has_to_be_given_anew(tmp_path: Path) -> None:
    text = CFG_WHOLE.replace(f"skey={SKEY}", "skey_protected=AQAAANCMnd8BFdERjHoAwE")
    with pytest.raises(InvalidConfig, match="skey_protected: not sealed by `authproxy secret protect`"):
        converted(tmp_path, text)


def test_only_a_cfg_is_converted(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="there is nothing to convert"):
        convert(written(tmp_path, "main:\n"), tmp_path)


def test_file_names_are_right_from_where_the_yaml_lies(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "etc").mkdir()
    text = "[main]\nlog_dir=log\nhttp_ca_certs_file=ca.pem\n" + CFG_WHOLE
    path = written(tmp_path / "conf", text, "authproxy.cfg")
    before = load_text(text, path, {}, touch=False).config.main
    for folder in ("conf", "etc"):
        made = convert(path, tmp_path / folder)
        after = load_text(made.yaml, tmp_path / folder / "a.yaml", {}, touch=False).config.main
        assert after.log_dir.resolve() == before.log_dir
        assert after.http_ca_certs_file is not None
        assert after.http_ca_certs_file.resolve() == tmp_path / "conf" / "ca.pem"


def test_a_comment_can_not_become_an_option(tmp_path: Path) -> None:
    made = converted(tmp_path, "; note\u2028main: {debug: true}\x85debug: true\n" + CFG_WHOLE)
    config = load_text(made.yaml, tmp_path / "a.yaml", {}, touch=False).config
    assert config.main.debug is False


def test_a_client_in_capitals(tmp_path: Path) -> None:
    """Names of sections are compared without their case, wherever they stand."""
    text = CFG_DIRECTORY.replace("[ad_client]", "[AD_Client]") + CFG_SERVER + "client=AD_CLIENT\n"
    assert "  client: ad_client" in converted(tmp_path, text).yaml.splitlines()
