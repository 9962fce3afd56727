"""`main`: logs, state, the admin endpoint, and what other sections inherit."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from authproxy.config.model.outbound import Outbound
from authproxy.config.model.section import Family, Finding
from authproxy.config.options.addresses import Address, EndpointOption
from authproxy.config.options.files import (
    FileOption,
    FolderOption,
    KeyFileOption,
    LogFolderOption,
    PathOption,
)
from authproxy.config.options.secrets import SecretOption
from authproxy.config.options.simple import Flag, Listed, Text, matching, one_of, seconds, whole


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


_FACILITY = "LOG_(KERN|USER|MAIL|DAEMON|AUTH|SYSLOG|LPR|NEWS|UUCP|CRON|AUTHPRIV|FTP|LOCAL[0-7])"
_SHORTEST_CHALLENGE_KEY = 32  # octets
_SHORTEST_KEY = 16  # octets
SectionName = Annotated[
    str, matching(r"[a-z_]+[0-9]*", "not a section's name", "a section's name", any_case=True)
]


class FilePermissions(StrEnum):
    NORMAL = "normal"
    STRICT = "strict"
    WARN = "warn"


class Main(Outbound):
    """What holds for the whole proxy."""

    debug: Flag = Field(
        default=False, description="Log more of what happens. Never a secret, a password or a passcode."
    )
    log_dir: LogFolderOption = Field(
        default=Path("/var/log/authproxy"),
        description="The folder of `authproxy.log` and `authevents.log`. Not given: `$LOGS_DIRECTORY`, else "
        "`/var/log/authproxy` for root, else `log` in the state folder. A relative one starts from the "
        "configuration's folder; in a `.cfg` that lies in a folder `conf`, from the folder above it.",
    )
    log_file: Flag = Field(
        default=False, description="Log into `log_dir/authproxy.log`. Done anyway when no other log is on."
    )
    log_stdout: Flag = Field(default=False, description="Log to standard output, for containers.")
    log_syslog: Flag = Field(default=False, description="Log to syslog.")
    log_journald: Flag = Field(default=False, description="Log to systemd's journal, with fields.")
    syslog_facility: Annotated[
        str, matching(f"(?i:{_FACILITY})", "not a facility, such as LOG_USER or LOG_LOCAL3", "`LOG_USER`, …")
    ] = Field(default="LOG_USER", description="The facility of `log_syslog`.")
    log_format: Annotated[LogFormat, one_of(LogFormat)] = Field(
        default=LogFormat.TEXT,
        description="`json`: one object a line in `authproxy.log` and on standard output.",
    )
    log_auth_events: Flag = Field(
        default=True,
        description="Write `log_dir/authevents.log`, one JSON object for each decision. Without it the decisions "
        "go to the other logs only.",
    )
    log_max_size: Annotated[int, whole(4096, 2**40)] = Field(
        default=10_485_760, description="Octets after which a log file is put aside and a new one begun."
    )
    log_max_files: Annotated[int, whole(0, 10_000)] = Field(
        default=6, description="Log files put aside that are kept; 0: all."
    )
    http_ca_certs_file: FileOption | None = Field(
        default=None,
        examples=["cloud-ca.pem"],
        description="PEM certificates that the cloud's certificate is checked against, for sections without an "
        "`api_ca_certs_file`. Not given: the system's.",
    )
    interface: Annotated[tuple[Address, ...], Listed] = Field(
        default=(),
        examples=[["10.0.0.5"]],
        description="Addresses to listen on, for sections without their own. Not given: all.",
    )
    client: SectionName | None = Field(
        default=None,
        examples=["ad_client"],
        description="The client section of server sections that don't name one.",
    )
    server: SectionName | None = Field(
        default=None,
        examples=["radius_server_auto"],
        description="An old way to name the server section that `client` is for.",
    )
    fips_mode: Flag = Field(
        default=False, description="Not served: RADIUS and NTLM are built on MD5 and MD4."
    )
    admin: EndpointOption | None = Field(
        default=None,
        examples=["127.0.0.1:8912"],
        description="Where to serve health, metrics and the status page. Not given: nowhere. Loopback only, unless "
        "`admin_tls_cert`, `admin_tls_key` and `admin_token` are given.",
    )
    admin_token: SecretOption | None = Field(
        default=None,
        examples=[{"file": "admin-token"}],
        description="What a reader of `admin` has to show (`Authorization: Bearer …`).",
    )
    admin_tls_cert: FileOption | None = Field(
        default=None, examples=["admin.pem"], description="PEM certificate chain of `admin`."
    )
    admin_tls_key: KeyFileOption | None = Field(
        default=None, examples=["admin.key"], description="PEM key of `admin_tls_cert`."
    )
    state_dir: PathOption = Field(
        default=Path("/var/lib/authproxy"),
        description="The folder of what lasts over a restart. Not given: `$STATE_DIRECTORY`, else "
        "`/var/lib/authproxy` for root, else `authproxy` in the XDG state folder.",
    )
    user: (
        Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?", "not a user's name", "a user's name")]
        | None
    ) = Field(
        default=None,
        examples=["authproxy"],
        description="Whom to become once all ports are bound, when started as root.",
    )
    drain_timeout: Annotated[float, seconds(0, 600)] = Field(
        default=70, description="How long logins that wait may go on after SIGTERM."
    )
    alarm_command: Annotated[tuple[Text, ...], Listed] = Field(
        default=(),
        examples=[["/usr/local/bin/page", "--team", "vpn"]],
        description="A program to run for each alarm, by its whole path, and its arguments: no shell. It gets the "
        "alarm as JSON on standard input, has 10 seconds, and is killed then. In a `.cfg`: `alarm_command`, "
        "`alarm_command_2`, …",
    )
    alarm_webhook: SecretOption | None = Field(
        default=None,
        examples=[{"file": "alarm-url"}],
        description="An https URL to POST each alarm to, as JSON. Never shown, because many services have a secret in "
        "its path. Called directly, never through `http_proxy_host`.",
    )
    alarm_webhook_token: SecretOption | None = Field(
        default=None,
        examples=[{"file": "alarm-token"}],
        description="Sent with it (`Authorization: Bearer …`).",
    )
    alarm_webhook_key: SecretOption | None = Field(
        default=None,
        examples=[{"file": "alarm-key"}],
        description="Signs it (`X-Authproxy-Signature: t=SECONDS,v1=HEX`): HMAC-SHA-256 over `SECONDS.BODY`. 16 octets "
        "at least.",
    )
    alarm_webhook_ca_certs_file: FileOption | None = Field(
        default=None,
        examples=["ca.pem"],
        description="PEM certificates that the webhook's is checked against. Not given: the system's.",
    )
    alarm_webhook_allow_http: Flag = Field(
        default=False,
        description="Let `alarm_webhook` be an http URL of this machine (127.0.0.1, ::1, localhost).",
    )
    challenge_key: SecretOption | None = Field(
        default=None,
        examples=[{"file": "challenge-key"}],
        description="What seals the State of challenges. Not given: a key of this machine alone, in `state_dir`. The "
        "same on several nodes, each takes the answer to a challenge of any other. 32 octets at least; counts from the "
        "next start.",
    )
    challenge_key_before: SecretOption | None = Field(
        default=None,
        examples=[{"file": "challenge-key-before"}],
        description="The `challenge_key` before this one: what it sealed is still taken, so that nodes can change keys "
        "one after the other.",
    )
    push_limit: Annotated[int, whole(0, 100)] = Field(
        default=3,
        description="After so many pushes, calls or text messages that a user denied or didn't answer, in "
        "`push_limit_window`, none go to them for `push_limit_pause`; passcodes work all the time. In all sections "
        "together. 0: no such limit. One prompt at a time is the rule in any case.",
    )
    push_limit_window: Annotated[float, seconds(10, 86400)] = Field(
        default=600, description="Over how long prompts that weren't approved are counted together."
    )
    push_limit_pause: Annotated[float, seconds(10, 86400)] = Field(
        default=900, description="For how long no prompt goes to a user who has had too many."
    )
    push_fraud_pause: Annotated[float, seconds(0, 86400)] = Field(
        default=3600, description="The same for a user who has reported one as fraud, at once."
    )
    dictionary_dir: FolderOption | None = Field(
        default=None,
        examples=["dictionaries"],
        description="A folder of further RADIUS dictionaries, in FreeRADIUS's format.",
    )
    file_permissions: Annotated[FilePermissions, one_of(FilePermissions)] = Field(
        default=FilePermissions.NORMAL,
        description="What to do when others can get at the configuration, or at a file that it names. `normal`: "
        "refuse when they can change one, warn when they can read a secret; `strict`: refuse both; `warn`: warn of "
        "both.",
    )

    FAMILIES: ClassVar = (Family("alarm_command", "alarm_command", bare=True),)
    IGNORED: ClassVar = {
        "test_connectivity_on_startup": "`authproxy probe` tries the connections whenever you ask",
        "log_sso_events": "there is no sso section, so there are no such events",
    }

    def faults(self) -> Iterator[Finding]:
        if self.fips_mode:
            yield Finding(
                "fips_mode", "not served: RADIUS and NTLM need MD5, which FIPS forbids; leave it out"
            )
        yield from super().faults()
        if (self.admin_tls_cert is None) != (self.admin_tls_key is None):
            yield Finding("admin", "admin_tls_cert and admin_tls_key belong together")
        if self.admin and not self.admin.is_loopback and not (self.admin_tls_cert and self.admin_token):
            yield Finding(
                "admin",
                "not a loopback address: give admin_tls_cert, admin_tls_key and admin_token, or listen on 127.0.0.1",
            )
        for option in ("challenge_key", "challenge_key_before"):
            key = getattr(self, option)
            if key is not None and len(key) < _SHORTEST_CHALLENGE_KEY:
                yield Finding(option, "shorter than 32 octets; `authproxy secret generate` makes a good one")
        if self.challenge_key_before is not None and self.challenge_key is None:
            yield Finding("challenge_key_before", "there is no challenge_key beside it")
        if self.alarm_command and not self.alarm_command[0].startswith("/"):
            yield Finding(
                "alarm_command", "the program's whole path is expected first, such as /usr/bin/logger"
            )
        if self.alarm_webhook_key is not None and len(self.alarm_webhook_key) < _SHORTEST_KEY:
            yield Finding(
                "alarm_webhook_key",
                "shorter than 16 octets; `authproxy secret generate` makes a good one",
            )
        if self.alarm_webhook is None:
            for option in ("alarm_webhook_token", "alarm_webhook_key", "alarm_webhook_ca_certs_file"):
                if getattr(self, option) is not None:
                    yield Finding(option, "there is no alarm_webhook beside it")

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        if not self.push_limit:
            yield Finding(
                "push_limit", "0: who has a password can send pushes until one is approved by mistake"
            )
