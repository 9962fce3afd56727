"""Versions of TLS."""

from __future__ import annotations

from enum import StrEnum


class MinimumTls(StrEnum):
    TLS12 = "tls1.2"
    TLS13 = "tls1.3"


OLD_TLS = dict.fromkeys(
    ("ssl3", "tls1.0", "tls1.1"), "older than TLS 1.2, which is broken (RFC 8996); use tls1.2"
)
