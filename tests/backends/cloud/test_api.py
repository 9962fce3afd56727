"""What a call is on the wire."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from authproxy.backends.cloud.api import json_of


@given(st.dictionaries(st.text(), st.text()))
def test_parameters_are_written_as_the_json_module_does(params: dict[str, str]) -> None:
    assert json_of(params) == json.dumps(params, sort_keys=True, separators=(",", ":")).encode("ascii")
