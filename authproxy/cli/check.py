"""`authproxy check`: builds everything that `run` would build, and throws it away; opens no port."""

from __future__ import annotations

import argparse
import importlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from authproxy.config.find import find_config
from authproxy.config.load import load
from authproxy.config.problems import InvalidConfig, Problem

SUMMARY = (
    "Read the configuration as `run` would, and print every problem and warning. Nothing is "
    "started, and no port is opened."
)
EXAMPLE = "authproxy check -c conf/authproxy.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(options: argparse.Namespace) -> int:
    problems: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()
    file = options.config or ""
    try:
        path = find_config(options.config, os.environ, Path.cwd())
        file = str(path)
        loaded = load(path)
        warnings = loaded.warnings
        # Only a configuration that reads well is built, so only then are Twisted and all the rest imported.
        problems = tuple(importlib.import_module("authproxy.service").problems_of(loaded))
    except InvalidConfig as invalid:
        problems = invalid.problems
    (_print_json if options.json else _print)(file, problems, warnings)
    return 2 if problems else 0


def _print(file: str, problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
    for problem in problems:
        print(problem)
    for warning in warnings:
        print(warning.labelled("warning"))
    verdict = _counted(len(problems), "problem") if problems else "good"
    print(
        ": ".join(
            filter(None, (file, ", ".join(filter(None, (verdict, _counted(len(warnings), "warning"))))))
        )
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}" if number else ""


def _print_json(file: str, problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
    print(
        json.dumps(
            {
                "file": file,
                "valid": not problems,
                "problems": [asdict(problem) for problem in problems],
                "warnings": [asdict(warning) for warning in warnings],
            },
            indent=2,
        )
    )
