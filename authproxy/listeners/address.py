"""The address of a peer, as configurations write it."""

from __future__ import annotations


def plain_address(host: str) -> str:
    """`::ffff:192.0.2.1` is 192.0.2.1, and fe80::1%eth0 is fe80::1 (R11)."""
    address = host.partition("%")[0]
    if address.startswith("::ffff:") and "." in address:
        return address.removeprefix("::ffff:")
    return address
