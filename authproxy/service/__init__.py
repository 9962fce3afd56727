"""Configuration in, running service out: the only package that knows everyone.

`build` makes a section's parts of its options, `running` binds, drains and reloads them, `process` does what is done
once to the process.
"""

from authproxy.service.checking import problems_of

__all__ = ["problems_of"]
