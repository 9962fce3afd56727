"""Takes checks out, in copies of the tree, and looks whether their tests notice."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.mutation import Mutation

ROOT = Path(__file__).parents[2]
_AT_MOST = 600  # seconds for one mutation's tests
# A mutation that merely doesn't run proves nothing.
_BROKEN = re.compile(r"\b(SyntaxError|IndentationError|NameError|UnboundLocalError|ImportError)\b")


class Verdict(Enum):
    NOTICED = "noticed"
    SURVIVED = "SURVIVED"
    NOT_RUN = "NOT RUN"  # its tests were skipped, not collected, or broke on something else


@dataclass(frozen=True, slots=True)
class Outcome:
    mutation: Mutation
    verdict: Verdict
    said: str  # the end of what pytest printed, unless noticed


class Tree:
    """A copy of what is under version control, or would be, with an interpreter that imports from it.

    The daemons that tests start are run by the same interpreter, in an environment without PYTHONPATH.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
        for name in listed.decode().split("\0"):
            if name and (ROOT / name).is_file():
                to = folder / name
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, to)
        venv = folder / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        self._python = venv / "bin" / "python"
        (packages,) = (venv / "lib").glob("python3*/site-packages")
        # An editable installation in there is not looked at: that is for a site's own folder alone.
        (packages / "mutants.pth").write_text(f"{folder}\n{sysconfig.get_path('purelib')}\n")

    def pytest(self, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Those tests, one after the other, up to the first failure."""
        command = [
            str(self._python),
            "-m",
            "pytest",
            "-q",
            "-x",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "--tb=short",
        ]
        command += [f"--basetemp={self.folder / '.tmp'}", *(f"tests/{test}" for test in tests)]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            return subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=_AT_MOST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, -1, "", f"not done after {_AT_MOST} s")

    @contextmanager
    def broken(self, mutation: Mutation) -> Iterator[None]:
        """The check is out, as long as this lasts."""
        file = self.folder / "authproxy" / mutation.file
        whole = file.read_text()
        file.write_text(whole.replace(mutation.old, mutation.new))
        try:
            yield
        finally:
            file.write_text(whole)


def unbroken(mutations: Sequence[Mutation], folder: Path) -> str | None:
    """Why these mutations' tests can't judge: they don't all pass on the code as it is. None: they do."""
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    done = Tree(folder).pytest(tests)
    if done.returncode == 0 and " skipped" not in done.stdout:
        return None
    return done.stdout + done.stderr


def run(mutations: Sequence[Mutation], workers: int) -> Iterator[Outcome]:
    """Each one's outcome, in the order given."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        trees: SimpleQueue[Tree] = SimpleQueue()
        for number in range(workers):
            trees.put(Tree(Path(scratch, str(number))))

        def judge(mutation: Mutation) -> Outcome:
            tree = trees.get()
            try:
                with tree.broken(mutation):
                    done = tree.pytest(mutation.tests)
            finally:
                trees.put(tree)
            verdict = _verdict(done)
            return Outcome(
                mutation, verdict, "" if verdict is Verdict.NOTICED else done.stdout[-3000:] + done.stderr
            )

        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(judge, mutations)


def _verdict(done: subprocess.CompletedProcess[str]) -> Verdict:
    match done.returncode:
        case 0 if " skipped" not in done.stdout:
            return Verdict.SURVIVED
        case 1 if not _BROKEN.search(done.stdout):
            return Verdict.NOTICED
        case _:
            return Verdict.NOT_RUN
