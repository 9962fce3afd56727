"""Where secrets come from: a file, the environment, systemd's credentials, or sealed in the configuration itself."""

from __future__ import annotations

import os
from pathlib import Path

from authproxy.config.document import Entries, Scalar, Style
from authproxy.config.reading import Reading, SecretUnavailable
from authproxy.config.regular import read_regular
from authproxy.config.sealing import NOT_OURS, is_sealed
from authproxy.config.yaml_syntax import other_meaning
from authproxy.secret import Secret

SOURCES = {
    "file": "in a file; a line end at the end of the file is ignored",
    "env": "in an environment variable (root and the daemon's user can read it in /proc)",
    "credential": "in a credential of the systemd unit (LoadCredential=)",
    "protected": "here, encrypted by `authproxy secret protect`",
}

_MOST_OCTETS = 64 * 1024
# What stands for a secret that is not to be looked at: long enough for every check.
UNTOUCHED = Secret(b"x" * 40)


def read_source(entries: Entries, reading: Reading) -> Secret:
    """The secret that `{file: …}` and its like name. Raises SecretUnavailable."""
    if len(entries) != 1 or next(iter(entries)) not in SOURCES:
        raise SecretUnavailable(
            f"a secret is text in quotes, or {{SOURCE: …}} with one of {', '.join(SOURCES)}"
        )
    ((source, value),) = entries.items()
    if not isinstance(value, Scalar) or not value.text:
        raise SecretUnavailable(f"{source}: has no value")
    if "\0" in value.text:
        raise SecretUnavailable(f"{source}: holds a NUL")
    if value.style is Style.PLAIN and other_meaning(value.text):
        raise SecretUnavailable(f"{source}: put it in quotes: YAML takes it for {other_meaning(value.text)}")
    if source == "protected" and not is_sealed(value.text):
        raise SecretUnavailable(NOT_OURS)
    if not reading.touch:
        return UNTOUCHED
    read = {"file": _file, "env": _environment, "credential": _credential, "protected": _protected}[source]
    return read(value, reading)


def _file(name: Scalar, reading: Reading) -> Secret:
    path = reading.path(name.text)
    secret = read_secret_file(path)
    reading.saw(name, path, secret=True)
    return secret


def _protected(token: Scalar, reading: Reading) -> Secret:
    return reading.unseal(token.text)


def read_secret_file(path: Path) -> Secret:
    """A file's octets without the one line end that editors put behind the last line. Raises SecretUnavailable."""
    try:
        octets = read_regular(path, _MOST_OCTETS + 1)
    except OSError as error:
        raise SecretUnavailable(f"{path}: {error.strerror}") from None
    if len(octets) > _MOST_OCTETS:
        raise SecretUnavailable(f"{path}: longer than {_MOST_OCTETS} bytes, so hardly a secret")
    octets = octets.removesuffix(b"\r\n" if octets.endswith(b"\r\n") else b"\n")
    if not octets:
        raise SecretUnavailable(f"{path}: empty")
    return Secret(octets)


def _environment(variable: Scalar, reading: Reading) -> Secret:
    value = reading.environ.get(variable.text)
    if not value:
        raise SecretUnavailable(
            f"{variable.text} is {'not in the environment' if value is None else 'empty'}"
        )
    return Secret(os.fsencode(value))


def _credential(name: Scalar, reading: Reading) -> Secret:
    folder = reading.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise SecretUnavailable(
            "$CREDENTIALS_DIRECTORY is not set: credentials exist only under systemd (LoadCredential=)"
        )
    if "/" in name.text or name.text.startswith("."):
        raise SecretUnavailable("a credential is a name, not a path")
    return read_secret_file(Path(folder) / name.text)
