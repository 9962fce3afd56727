"""S8, S10: what becomes of a process that was started as root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

BECOME = """
import os, pathlib, resource
from authproxy.service import process
process.harden()
process.become(process.account("nobody"), ())
status = pathlib.Path("/proc/self/status").read_text()
fields = dict(line.split(":", 1) for line in status.splitlines())
print(fields["Uid"].split(), fields["Gid"].split(), int(fields["CapEff"], 16), int(fields["CapPrm"], 16))
print(resource.getrlimit(resource.RLIMIT_CORE))
try:
    os.setuid(0)
except PermissionError:
    print("for good")
"""


def test_another_user_for_good() -> None:
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n", f"PYTHONPATH={ROOT}"]
    done = subprocess.run(
        [*as_root, sys.executable, "-c", BECOME],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=True,
    )
    first, core, back = done.stdout.splitlines()
    uids, rest = first.split("]", 1)
    assert "'0'" not in uids
    assert "'0'" not in rest.split("]")[0]
    assert rest.rstrip().endswith("] 0 0")
    assert core == "(0, 0)"
    assert back == "for good"


CLOSED = """
import os
from authproxy.service import process
for descriptor in (0, 1, 2):
    os.close(descriptor)
process.keep_standard_descriptors()
nowhere = os.stat(os.devnull).st_rdev
raise SystemExit([os.fstat(descriptor).st_rdev for descriptor in (0, 1, 2)] != [nowhere] * 3)
"""


def test_nothing_of_ours_becomes_standard_output() -> None:
    """Of a parent that has closed it: a log line would go to whatever connection has that number."""
    subprocess.run([sys.executable, "-c", CLOSED], timeout=60, cwd=ROOT, check=True)
