"""`main`'s ways to a person, in both syntaxes; what can't work is told, and no secret with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from authproxy.service import problems_of
from tests.config.files import CFG_WHOLE, WHOLE, loaded, problems

URL = "https://alarms.test/s3cret-path"


def test_in_a_cfg(tmp_path: Path) -> None:
    text = (
        "[main]\nalarm_command=/usr/bin/logger\nalarm_command_2=-t\nalarm_command_3=two words\n"
        f"alarm_webhook={URL}\nalarm_webhook_key=0123456789abcdef\nalarm_webhook_allow_http=true\n{CFG_WHOLE}"
    )
    main = loaded(tmp_path, text, "authproxy.cfg").config.main
    assert main.alarm_command == ("/usr/bin/logger", "-t", "two words")
    assert main.alarm_webhook is not None
    assert main.alarm_webhook.reveal().decode() == URL
    assert "s3cret" not in repr(main)


def test_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL + "\n")
    (tmp_path / "url").chmod(0o600)
    text = "main:\n  alarm_command: [/usr/bin/logger, -t, '$(id)']\n  alarm_webhook: {file: url}\n" + WHOLE
    main = loaded(tmp_path, text).config.main
    assert main.alarm_command == ("/usr/bin/logger", "-t", "$(id)")
    assert main.alarm_webhook is not None
    assert main.alarm_webhook.reveal().decode() == URL


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("  alarm_command: [logger]\n", "main.alarm_command: has to begin with the program's full path"),
        ("  alarm_webhook_token: t0ken\n", "main.alarm_webhook_token: has no effect without alarm_webhook"),
        (f"  alarm_webhook: {URL}\n  alarm_webhook_key: short\n", "main.alarm_webhook_key: shorter than 16"),
    ],
)
def test_what_contradicts_itself(tmp_path: Path, options: str, words: str) -> None:
    (problem,) = problems(tmp_path, "main:\n" + options + WHOLE)
    assert words in problem


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("  alarm_command: [/nowhere/page]\n", "main.alarm_command: /nowhere/page: there is no such program"),
        ("  alarm_command: [/etc/passwd]\n", "main.alarm_command: /etc/passwd: may not be run"),
        ("  alarm_webhook: http://127.0.0.1/s3cret\n", "main.alarm_webhook: https is expected"),
        (
            "  alarm_webhook: http://alarms.test/s3cret\n  alarm_webhook_allow_http: true\n",
            "main.alarm_webhook: https is expected; http only to this machine",
        ),
        ("  alarm_webhook: s3cret\n", "main.alarm_webhook: not a URL"),
    ],
)
def test_what_shows_when_it_is_built(tmp_path: Path, options: str, words: str) -> None:
    (problem,) = problems_of(loaded(tmp_path, "main:\n" + options + WHOLE))
    assert words in str(problem)
    assert "s3cret" not in str(problem)
