"""The types of options: how each is written, read, described in the reference and checked by editors."""
