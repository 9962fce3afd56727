"""QR codes as SVG, drawn as a single path, which a strict content security policy allows."""

from __future__ import annotations

import qrcode
from markupsafe import Markup

_SVG = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" class="qr" viewBox="0 0 {side} {side}" role="img"'
    ' aria-label="{label}" shape-rendering="crispEdges"><path fill="#fff" d="M0,0h{side}v{side}h-{side}z"/>'
    '<path fill="#000" d="{path}"/></svg>'
)
_QUIET = 4  # modules around it, as ISO 18004 wants


def svg(text: str, label: str) -> Markup:
    """`label`: for people who can't see it."""
    code = qrcode.QRCode(border=0, error_correction=qrcode.constants.ERROR_CORRECT_M)
    code.add_data(text)
    code.make()
    matrix = code.get_matrix()
    dark = [
        (x + _QUIET, y + _QUIET) for y, row in enumerate(matrix) for x, is_dark in enumerate(row) if is_dark
    ]
    path = "".join(f"M{x},{y}h1v1h-1z" for x, y in dark)
    return _SVG.format(side=len(matrix) + 2 * _QUIET, label=label, path=path)
