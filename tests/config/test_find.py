"""Which file is read: what was named, then where one is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.config.find import find_config
from authproxy.config.problems import InvalidConfig
from tests.config.files import written


def test_the_order(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "etc").mkdir()
    near = written(tmp_path / "conf", "")
    system = written(tmp_path / "etc", "")
    environ = {"AUTHPROXY_CONFIG": "from-environment.yaml"}

    def find(option: str | None, environ: dict[str, str]) -> Path:
        return find_config(option, environ, tmp_path, tmp_path / "etc")

    assert find("named.cfg", environ) == Path("named.cfg")
    assert find(None, environ) == Path("from-environment.yaml")
    assert find(None, {}) == near
    assert find(None, {"AUTHPROXY_CONFIG": ""}) == near
    near.unlink()
    assert find(None, {}) == system


def test_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="name a file with -c, or try `authproxy demo`"):
        find_config(None, {}, tmp_path, tmp_path)


def test_an_existing_file_of_the_other_syntax_is_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    existing = written(tmp_path / "conf", "", "authproxy.cfg")
    with pytest.raises(InvalidConfig, match=f"choose it with -c {existing}"):
        find_config(None, {}, tmp_path, tmp_path)
