"""What is generated from the model is up to date, and the files that are shipped load."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from authproxy.config.commented import reference_yaml
from authproxy.config.load import load
from authproxy.config.model.kinds import SERVED
from authproxy.config.reference import option_reference
from authproxy.config.schema import json_schema
from tests.config.files import SKEY, WHOLE

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
CONFIGURATIONS = sorted(path.name for path in CONF.iterdir() if path.suffix in (".yaml", ".cfg"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"(?s)```yaml\n(.*?)```")
SECRET_FILES = [
    "radius-secret",
    *("bind-password", "skey", "vpn-skey", "wifi-skey", "admin-token", "proxy-password"),
    *("asa-secret", "forti-secret", "vpn-secret", "wifi-secret", "lab-secret", "login-secret"),
    *("nps-secret", "ocserv-secret", "challenge-key", "challenge-key-before"),
    *("alarm-url", "alarm-token", "alarm-key", "redis-password"),
]
OTHER_FILES = [
    *("radsec.pem", "radsec.key", "radsec-ca.pem"),
    "ca.pem",
    "redis-ca.pem",
    "cloud-ca.pem",
    "admin.pem",
    "admin.key",
    "proxy.pem",
    "proxy.key",
    "ldap.pem",
    "ldap.key",
    "radius.pem",
    "radius.key",
]


def generated(name: str, text: str, command: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == text, (
        f"{name} is out of date: authproxy {command} > {name}"
    )


def test_the_option_reference_is_up_to_date() -> None:
    generated("docs/options.md", option_reference(), "schema --option-reference")


def test_the_commented_reference_is_up_to_date() -> None:
    generated("conf/reference.yaml", reference_yaml(), "schema --reference-yaml")


def test_the_schema_is_up_to_date() -> None:
    generated(
        "conf/authproxy.schema.json", json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", "schema"
    )


def test_every_option_says_what_it_does() -> None:
    for name, kind in SERVED.items():
        for option, field in kind.model_fields.items():
            assert field.description, f"{name}.{option}"
            assert f"| `{option}` |" in option_reference()


def beside(folder: Path, name: str) -> Path:
    """A shipped file with all that it names beside it."""
    for secret in SECRET_FILES:
        (folder / secret).write_text(SKEY + "\n")
    for other in OTHER_FILES:
        (folder / other).write_text("in place of a certificate\n")
    (folder / "dictionaries").mkdir()
    return Path(shutil.copy(CONF / name, folder / name))


ENVIRON = {"BIND_PASSWORD": "opensesame", "VPN_SKEY": SKEY, "VPN_SECRET": SKEY}


def environ(folder: Path) -> dict[str, str]:
    for credential in ("bind", "skey", "asa"):
        (folder / credential).write_text(SKEY)
    return {**ENVIRON, "CREDENTIALS_DIRECTORY": str(folder)}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_is_shipped_loads(tmp_path: Path, name: str) -> None:
    path = beside(tmp_path, name)
    assert load(path, environ(tmp_path)).config.sections


@pytest.mark.parametrize(
    ("document", "example"),
    [
        (path.name, example)
        for path in DOCUMENTS
        for example in FENCED.findall(path.read_text())
        if "ad_client" in example
    ],
)
def test_what_the_documents_show_loads(tmp_path: Path, document: str, example: str) -> None:
    path = beside(tmp_path, "reference.yaml")
    path.write_text(example)
    path.chmod(0o600)
    assert load(path, environ(tmp_path)).config.sections, document


def test_a_file_that_the_daemon_would_find_by_itself_is_not_shipped() -> None:
    assert "authproxy.yaml" not in CONFIGURATIONS


def switched_on(text: str) -> str:
    """The commented reference with every option in effect."""
    return re.sub(r"(?m)^( *)# (?=[a-z_]+:)", r"\1", text)


def test_every_option_of_the_reference_can_be_switched_on(tmp_path: Path) -> None:
    path = beside(tmp_path, "reference.yaml")
    path.write_text(switched_on(path.read_text()))
    path.chmod(0o600)
    config = load(path, {}).config
    given = {"main": config.main, **config.sections}
    for name, kind in SERVED.items():
        assert set(given[name].model_fields_set) >= set(kind.model_fields)


# ---- the JSON Schema


def valid(document: Any) -> bool:
    return jsonschema.Draft7Validator(json_schema()).is_valid(document)


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if name.endswith(".yaml")])
def test_what_is_shipped_is_valid(name: str) -> None:
    # As an editor reads it: YAML 1.2, where `yes` is a word.
    resolvers = {**yaml.SafeLoader.yaml_implicit_resolvers, **{letter: [] for letter in "yYnNoO"}}
    loader = type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})
    assert valid(yaml.load((CONF / name).read_text(), Loader=loader))


def whole() -> Any:
    return yaml.safe_load(WHOLE)


def test_what_is_valid() -> None:
    document = whole()
    assert valid(document)
    document["radius_server_auto2"] = document["radius_server_auto"]
    document["ad_client"]["host"] = "one"
    document["ad_client"]["service_account_password"] = {"file": "x"}
    assert valid(document)
    server = document["radius_server_auto"]
    del server["clients"], server["skey"]
    server |= {"radius_ip_1": "10.0.0.1", "radius_secret_protected_1": "v1.x", "skey_protected": "v1.x"}
    assert valid(document)


@pytest.mark.parametrize(
    ("section", "option", "value"),
    [
        ("radius_server_auto", "fail_mode", "secure"),
        ("radius_server_auto", "failmode", "open"),
        ("radius_server_auto", "port", "1812"),
        ("radius_server_auto", "port", 65536),
        ("radius_server_auto", "skey", {"fiel": "x"}),
        ("radius_server_auto", "skey", {"file": "x", "env": "y"}),
        ("radius_server_auto", "ikey", "DI"),
        ("radius_server_auto", "factors", ["sms"]),
        ("radius_server_auto", "clients", [{"ip": "10.0.0.1"}]),
        ("ad_client", "host", []),
        ("ad_client", "port", None),
        ("ad_clients", "host", "x"),
    ],
)
def test_what_is_not(section: str, option: str, value: object) -> None:
    document = whole()
    document.setdefault(section, {})[option] = value
    assert not valid(document)


@pytest.mark.parametrize(
    ("section", "option"),
    [("ad_client", "host"), ("radius_server_auto", "skey"), ("radius_server_auto", "ikey")],
)
def test_what_is_missing(section: str, option: str) -> None:
    document = whole()
    del document[section][option]
    assert not valid(document)
