"""Fuzzing: octets from seeds, changed at random, through the code that meets strangers. `python -m tests.fuzz --short`.

A target is a module with `run(seconds, seed) -> Report`, named in TARGETS; its regression seeds lie in corpus/NAME and
run with the everyday tests. Whatever a run finds becomes a seed there.
"""
