"""`authproxy cloud serve`: the service in the foreground, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import ipaddress
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from authproxy.cli.cloud.output import Failed, default_folder, opened
from authproxy.cli.cloud.plain_log import PlainLog
from authproxy.embedded.cloud.links import Links
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str) -> Address:
    """`1.2.3.4:443`, `[::1]:443`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError("an address and a port, such as 127.0.0.1:8443")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{host} is not an IP address") from None
    return Address(host, int(port))


def arguments(actions: Any, shared: argparse.ArgumentParser) -> None:
    parser = actions.add_parser("serve", parents=[shared], help="run the service in the foreground")
    parser.set_defaults(does=run)
    parser.add_argument(
        "--listen",
        type=address,
        default=Address("127.0.0.1", 8443),
        metavar="ADDRESS:PORT",
        help="where to serve the API and the pages over HTTPS; default %(default)s",
    )
    parser.add_argument(
        "--name",
        action="append",
        metavar="HOST",
        help="a host name by which clients call it, for its certificate; can be given several times; "
        "default localhost",
    )
    parser.add_argument(
        "--pages",
        type=address,
        metavar="ADDRESS:PORT",
        help="also serve the pages over plain HTTP, on a loopback address only, for a browser on this "
        "machine",
    )
    parser.add_argument(
        "--certificate",
        type=Path,
        metavar="FILE",
        help="a certificate with its chain (PEM), to use instead of a self-made one",
    )
    parser.add_argument("--key", type=Path, metavar="FILE", help="the private key of --certificate (PEM)")
    parser.add_argument(
        "--sender",
        metavar="PROGRAM",
        help="a program that sends text messages and makes calls; it gets JSON on standard input "
        "(kind, number, message)",
    )
    parser.add_argument(
        "--legacy",
        action="store_true",
        help="also serve old clients: /rest/v1, signatures with SHA-1 or without a date. This is "
        "weaker, and off by default",
    )


def run(options: argparse.Namespace) -> int:
    if options.pages is not None and not options.pages.is_loopback:
        raise Failed(
            "--pages is plain HTTP: a loopback address only. Phones reach the pages over HTTPS (--listen)"
        )
    if (options.certificate is None) != (options.key is None):
        raise Failed("--certificate and --key have to be given together")
    with opened(options) as store:
        return _serve(options, store)


def _serve(options: argparse.Namespace, store: Any) -> int:
    # Twisted is imported when there is something to serve.
    from twisted.internet import reactor  # noqa: PLC0415

    from authproxy.embedded.certificates import (  # noqa: PLC0415
        CertificateUnusable,
        ServerFiles,
        server_context,
        server_files,
    )
    from authproxy.embedded.cloud.senders import Command  # noqa: PLC0415
    from authproxy.embedded.cloud.server import CloudService, Settings  # noqa: PLC0415
    from authproxy.embedded.ports import PortUnusable, bind, number_of, serve  # noqa: PLC0415
    from authproxy.service.process import harden  # noqa: PLC0415

    harden()
    log = PlainLog(sys.stderr)
    names = options.name or ["localhost"]
    try:
        if options.certificate is None:
            files = server_files(options.data / "tls", names)
        else:
            files = ServerFiles(options.certificate, options.certificate, options.key)
        context = server_context(files)
        api = bind(options.listen.host, options.listen.port)
        pages = None if options.pages is None else bind(options.pages.host, options.pages.port)
    except (CertificateUnusable, PortUnusable) as unusable:
        raise Failed(str(unusable)) from None
    port = number_of(api)
    base = f"https://{names[0]}" + ("" if port == 443 else f":{port}")
    # Links go to phones: where the HTTPS port is open to them, they lead there.
    if pages is not None and options.listen.is_loopback:
        base = f"http://localhost:{number_of(pages)}"
    sender = None if options.sender is None else Command(options.sender, reactor, log)
    service = CloudService(
        store,
        Settings(frozenset(names), base, legacy=options.legacy),
        reactor=reactor,
        clock=time.time,
        log=log,
        sender=sender,
    )
    serve(reactor, api, service.factory(secure=True), context)
    if pages is not None:
        serve(reactor, pages, service.factory(secure=False))
    service.start()
    print(
        f"ready: API https://{names[0]}:{port}, pages {base}, clients trust {files.authority}",
        file=sys.stderr,
        flush=True,
    )
    for hint in _hints(options, store, base):
        print(hint, file=sys.stderr, flush=True)
    running: Any = reactor
    running.run()
    service.stop()
    return 0


def _hints(options: argparse.Namespace, store: Any, base: str) -> Iterator[str]:
    """What has to come next, for whoever starts it for the first time."""
    where = "" if options.data == default_folder() else f" --data {shlex.quote(str(options.data))}"
    if not store.applications.list():
        yield f"next: authproxy cloud application add NAME{where}   (prints the keys that a client needs)"
    if not store.users.any():
        yield f"next: authproxy cloud user add NAME --invite{where}   (prints a link that sets up their phone)"
    if not options.listen.is_loopback and Links(base).reach_no_phone():
        yield f"phones can't open links to {base}: give the name that they reach this machine by, --name HOST"
