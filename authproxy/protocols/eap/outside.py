"""What can be seen of an EAP login that passes through: its method, and whether anybody inside has another name.

The name outside is what the peer says first (RFC 3748 §5.1), and nothing proves it: in a tunnel, or by a certificate,
a server lets in whoever is named inside.
"""

from __future__ import annotations

from authproxy.protocols.eap.packet import Code, Type

_HEAD = 5  # octets: Code, Identifier, Length, Type
# Of these a server can know no other name than the one outside, or the other one can be read.
_BARE = frozenset((Type.MD5, Type.GTC, Type.MSCHAP))
# draft-kamath-pppext-eap-mschapv2 §2.2: OpCode, an identifier, MS-Length, Value-Size, 49 octets of response, Name.
_RESPONSE = 2
_NAME = 1 + 1 + 2 + 1 + 49


def is_by_the_name_outside(message: bytes) -> bool:
    """Whether the peer's last packet is of a method in which the server can use no name but the one outside."""
    return len(message) >= _HEAD and message[0] == Code.RESPONSE and message[4] in _BARE


def name_inside(message: bytes) -> bytes | None:
    """The name in an MS-CHAPv2 response without a tunnel; None: the packet contains none."""
    data = message[_HEAD:]
    if message[:1] != bytes((Code.RESPONSE,)) or message[4:5] != bytes((Type.MSCHAP,)):
        return None
    return data[_NAME:] if data[:1] == bytes((_RESPONSE,)) else None
