"""`authproxy cloud device`: phones, numbers, tokens."""

from __future__ import annotations

import argparse
import base64
import binascii
import sys
from typing import Any
from urllib.parse import quote

from authproxy.cli.cloud.output import Failed, known_user, opened, show, tell, when
from authproxy.embedded.cloud.links import Links
from authproxy.embedded.cloud.model import Device, DeviceKind, Otp
from authproxy.embedded.cloud.otp import new_otp_secret
from authproxy.secret import Secret

_DAY = 86400.0


def arguments(actions: Any, shared: argparse.ArgumentParser) -> None:
    parser = actions.add_parser("device", help="phones, numbers and tokens")
    verbs = parser.add_subparsers(metavar="ACTION", required=True)
    listing = verbs.add_parser(
        "list", parents=[shared], help="list a user's devices, in the order in which push2 counts them"
    )
    listing.add_argument("user", metavar="USER")
    listing.set_defaults(does=_list)
    phone = verbs.add_parser(
        "add-phone", parents=[shared], help="add a telephone number, for text messages and calls"
    )
    phone.add_argument("user", metavar="USER")
    phone.add_argument("number", help="+49 151 2345678")
    phone.add_argument("--name", default="")
    phone.set_defaults(does=_add_phone)
    token = verbs.add_parser(
        "add-token", parents=[shared], help="add an authenticator app or a hardware token"
    )
    token.add_argument("user", metavar="USER")
    token.add_argument("--kind", choices=[kind.value for kind in Otp], default=Otp.TOTP.value)
    token.add_argument("--digits", type=int, choices=[6, 8], default=6)
    token.add_argument("--name", default="")
    token.add_argument(
        "--secret-stdin",
        action="store_true",
        help="read its secret in Base32 from standard input; otherwise a new one is made",
    )
    token.set_defaults(does=_add_token)
    move = verbs.add_parser(
        "move", parents=[shared], help="print a link that turns another browser into this phone"
    )
    move.add_argument("device", metavar="DEVICE")
    move.set_defaults(does=_move)
    remove = verbs.add_parser("remove", parents=[shared], help="remove it; it stops working at once")
    remove.add_argument("device", metavar="DEVICE")
    remove.set_defaults(does=_remove)


def _list(options: argparse.Namespace) -> int:
    with opened(options) as store:
        rows = [_row(device) for device in store.devices.of(known_user(store, options.user).user_id)]
    return show(options, rows, "This user has no devices.")


def _row(device: Device) -> dict[str, object]:
    return {
        "device": device.device_id,
        "type": device.kind.value,
        "name": device.name,
        "number": device.number,
        "can": list(device.capabilities) or ([device.otp.value] if device.otp else []),
        "seen": when(device.seen),
    }


def _add_phone(options: argparse.Namespace) -> int:
    if not 3 <= len(options.number) <= 32 or not set(options.number) <= set("+0123456789 ()-/."):
        raise Failed("that is not a telephone number")
    with opened(options) as store:
        user = known_user(store, options.user)
        device = store.devices.add(user.user_id, DeviceKind.PHONE, name=options.name, number=options.number)
        store.events.add("command line", "device.added", username=user.username, device=device.device_id)
    return tell(options, _row(device))


def _add_token(options: argparse.Namespace) -> int:
    secret = _read_secret() if options.secret_stdin else new_otp_secret()
    with opened(options) as store:
        user = known_user(store, options.user)
        kind = Otp(options.kind)
        device = store.devices.add(
            user.user_id,
            DeviceKind.TOKEN,
            name=options.name,
            otp=kind,
            otp_secret=secret,
            otp_digits=options.digits,
        )
        store.events.add("command line", "device.added", username=user.username, device=device.device_id)
    if options.secret_stdin:
        return tell(options, _row(device))
    text = secret.reveal().decode()
    counter = "&counter=0" if kind is Otp.HOTP else ""
    label = f"authproxy:{quote(user.username)}"
    uri = f"otpauth://{kind.value}/{label}?secret={text}&issuer=authproxy&digits={options.digits}{counter}"
    return tell(options, _row(device) | {"secret": text, "uri": uri}, "", "The secret is not shown again.")


def _read_secret() -> Secret:
    text = sys.stdin.readline().strip().replace(" ", "").upper()
    try:
        octets = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raise Failed("the secret is not Base32") from None
    if len(octets) < 16:
        raise Failed("the secret is shorter than 128 bits (RFC 4226 §4)")
    return Secret.of(text)


def _move(options: argparse.Namespace) -> int:
    with opened(options) as store:
        device = store.devices.find(options.device)
        if device is None or device.kind is not DeviceKind.PHONE:
            raise Failed(f"there is no phone {options.device}")
        code = store.activations.add(device.user_id, device.device_id, _DAY)
        store.events.add("command line", "device.moved", device=device.device_id)
        base = store.pages()
    return tell(options, {"device": device.device_id, "link": Links(base).activation(code)})


def _remove(options: argparse.Namespace) -> int:
    with opened(options) as store:
        if not store.devices.remove(options.device):
            raise Failed(f"there is no device {options.device}")
        store.events.add("command line", "device.removed", device=options.device)
    return tell(options, {"removed": options.device})
