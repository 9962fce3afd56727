"""`authproxy schema`: what can be configured, for editors (JSON Schema) and for people (the option reference)."""

from __future__ import annotations

import argparse
import json

from authproxy.config.commented import reference_yaml
from authproxy.config.reference import option_reference
from authproxy.config.schema import json_schema

SUMMARY = (
    "Print the configuration's JSON Schema, for editors that complete and check YAML, or the "
    "option reference."
)
EXAMPLE = "authproxy schema > conf/authproxy.schema.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--option-reference", action="store_true", help="print every option in Markdown (docs/options.md)"
    )
    other.add_argument(
        "--reference-yaml",
        action="store_true",
        help="print every option in commented YAML (conf/reference.yaml)",
    )


def run(options: argparse.Namespace) -> int:
    if options.option_reference:
        print(option_reference(), end="")
    elif options.reference_yaml:
        print(reference_yaml(), end="")
    else:
        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
