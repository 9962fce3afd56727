"""Hours of logins with faults at random, against one daemon: `python -m tests.soak --minutes N`."""
