"""Turns a configuration into a running service; the only package that knows all others.

`building` makes the parts of a section from its options, `running` binds, drains and reloads them, `daemon` is the
process around it, and `process` does what is done once to the process.
"""

from authproxy.service.checking import problems_of

__all__ = ["problems_of"]
