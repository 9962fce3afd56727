"""What makes another login of the same login: the rules that it is decided by."""

from __future__ import annotations

from authproxy.config.model import LdapServerAuto, RadiusServerAuto, RadiusServerEap
from authproxy.service.building.deciding import WAYS


def test_ways_are_options() -> None:
    """A name that is misspelt, or is no option any more, says nothing."""
    kinds = (RadiusServerAuto, RadiusServerEap, LdapServerAuto)
    assert {option for kind in kinds for option in kind.model_fields} >= WAYS
