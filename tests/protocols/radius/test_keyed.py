"""Our HMAC against the standard library's, for keys of every length around MD5's block."""

from __future__ import annotations

import hmac
import runpy
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.radius import keyed
from authproxy.protocols.radius.keyed import hide, hmac_md5, unhide


@pytest.mark.parametrize("size", [0, 1, 16, 63, 64, 65, 200])
def test_hmac(size: int) -> None:
    key = bytes(range(size))
    for message in (b"", b"x" * 90, b"y" * 4096):
        assert hmac_md5(key, message) == hmac.digest(key, message, "md5")


def test_a_python_without_md5_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_md5", None)
    other = runpy.run_path(keyed.__file__)
    assert other["hmac_md5"](b"key", b"message") == hmac_md5(b"key", b"message")
    assert other["hide"](b"plain", b"key", b"start") == hide(b"plain", b"key", b"start")


@given(st.binary(max_size=253), st.binary(min_size=1, max_size=40), st.binary(min_size=16, max_size=18))
def test_unhide_undoes_hide(plain: bytes, key: bytes, start: bytes) -> None:
    assert unhide(hide(plain, key, start), key, start) == plain
