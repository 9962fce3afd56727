"""Reads the files of `main.dictionary_dir` for the parser, which opens no files itself."""

from __future__ import annotations

from pathlib import Path

_MOST_OCTETS = 4 * 1024 * 1024  # of one file; the largest known has a twentieth of that


def read_dictionary_folder(folder: Path) -> dict[str, str]:
    """File names and texts of the folder's `dictionary*` files. Raises OSError.

    Comments in them are in many encodings; what isn't UTF-8 is replaced, since the lines that count are ASCII.
    """
    return {path.name: _read(path) for path in sorted(folder.iterdir()) if _is_dictionary(path)}


def _is_dictionary(path: Path) -> bool:
    # An editor's or packager's copy beside it would count twice.
    return (
        path.name.startswith("dictionary")
        and not path.name.endswith(("~", ".bak", ".orig"))
        and path.is_file()
    )


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST_OCTETS).decode("utf-8", "replace")
