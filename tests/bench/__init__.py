"""Performance, measured side by side with peers on one machine: `python -m tests.bench` (docs/performance.md)."""
