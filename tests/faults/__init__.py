"""When things fail: a matrix of faults, stages, modes, clients and factors, each cell a login into the real daemon.

`python -m tests.faults` runs all of it; docs/faults.md is written from what it found.
"""
