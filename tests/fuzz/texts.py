"""What people and balancers write: DNs, filters, LDIF, dictionaries, configurations, PROXY headers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from authproxy.config.load import load_text
from authproxy.config.problems import InvalidConfig
from authproxy.config.source import decoded
from authproxy.embedded.directory.ldif import MalformedLdif, read_ldif
from authproxy.listeners.ldap.proxy_protocol import read_header
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.dn import MalformedDN, parse_dn
from authproxy.protocols.ldap.filter_text import MalformedFilter, format_filter, parse_filter
from authproxy.protocols.radius.dictionary import load
from tests.fuzz.corpus import seeds
from tests.fuzz.mutate import CHANGES, mutated
from tests.fuzz.report import Report, drive

One = Callable[[bytes], str]


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def dn(octets: bytes) -> str:
    """A DN that is read and written and read again is the same one."""
    try:
        read = parse_dn(_text(octets))
    except MalformedDN:
        return "malformed"
    if parse_dn(str(read)) != read:
        raise AssertionError(f"{read} is another DN when it is read again")
    return "dn"


def filter_text(octets: bytes) -> str:
    """Likewise."""
    try:
        read = parse_filter(_text(octets))
    except MalformedFilter:
        return "malformed"
    if parse_filter(format_filter(read)) != read:
        raise AssertionError(f"{format_filter(read)} is another filter when it is read again")
    return "filter"


def ldif(octets: bytes) -> str:
    try:
        # A file is text when it comes here.
        return f"{min(len(read_ldif(octets.decode('utf-8', 'replace'))), 2)} entries"
    except MalformedLdif:
        return "malformed"


def dictionary(octets: bytes) -> str:
    """Nothing in a further file is a reason not to start."""
    return "skipped" if load({"dictionary.further": _text(octets)}).skipped else "read"


def proxy_header(octets: bytes) -> str:
    try:
        header = read_header(octets)
    except MalformedMessage:
        return "malformed"
    return "more" if header is None else "header"


def _config(name: str) -> One:
    def one(octets: bytes) -> str:
        path = Path(name)
        try:
            load_text(decoded(octets, name), path, {}, touch=False)
        except InvalidConfig:
            return "invalid"
        return "loaded"

    return one


# Seconds that one input may take: a dictionary is read with ours before it, a configuration with its model.
TEXTS: dict[str, tuple[One, float]] = {
    "dn": (dn, 0.02),
    "filter-text": (filter_text, 0.02),
    "ldif": (ldif, 0.005),
    "proxy-header": (proxy_header, 0.005),
    "dictionary": (dictionary, 0.5),
    "yaml": (_config("authproxy.yaml"), 0.2),
    "cfg": (_config("authproxy.cfg"), 0.2),
}


def _inputs(name: str, seed: int) -> Iterator[bytes]:
    return mutated([seed.octets for seed in seeds(name)], random.Random(seed), CHANGES)


def run(name: str, seconds: float, seed: int) -> Report:
    one, bound = TEXTS[name]
    return drive(name, one, _inputs(name, seed), seconds=seconds, bound=bound)


def run_count(name: str, count: int, seed: int) -> Report:
    one, bound = TEXTS[name]
    return drive(name, one, _inputs(name, seed), count=count, bound=bound)
