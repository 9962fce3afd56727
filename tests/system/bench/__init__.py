"""The outside test bench: scriptable peers with one journal, the daemon as a process, and two oracles."""
