"""Each security and availability requirement, the check that keeps it, and the test that fails without the check.

    python -m tests.mutants              # all: takes each check out in a copy of the tree, and runs its tests
    python -m tests.mutants R14 F5       # those of these requirements
    python -m tests.mutants --short      # a handful, in less than a minute

A mutation is an exact piece of the code and what stands there instead. test_registry.py, in every run, sees that the
piece is still there and that no requirement was forgotten; running them shows that the tests notice.
"""
