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
    """Options of the whole proxy."""

    debug: Flag = Field(
        default=False, description="Log more details. Never a secret, a password or a passcode."
    )
    log_dir: LogFolderOption = Field(
        default=Path("/var/log/authproxy"),
        description="The folder of `authproxy.log` and `authevents.log`. If not set: `$LOGS_DIRECTORY`, "
        "else `/var/log/authproxy` for root, else `log` in the state folder. A relative path is relative to "
        "the configuration's folder; if a `.cfg` is in a folder named `conf`, it is relative to the folder "
        "above that.",
    )
    log_file: Flag = Field(
        default=False, description="Log to `log_dir/authproxy.log`. This is also done if no other log is on."
    )
    log_stdout: Flag = Field(default=False, description="Log to standard output, for containers.")
    log_syslog: Flag = Field(default=False, description="Log to syslog.")
    log_journald: Flag = Field(default=False, description="Log to systemd's journal, with fields.")
    syslog_facility: Annotated[
        str, matching(f"(?i:{_FACILITY})", "not a facility, such as LOG_USER or LOG_LOCAL3", "`LOG_USER`, …")
    ] = Field(default="LOG_USER", description="The syslog facility for `log_syslog`.")
    log_format: Annotated[LogFormat, one_of(LogFormat)] = Field(
        default=LogFormat.TEXT,
        description="`json`: one JSON object per line in `authproxy.log` and on standard output.",
    )
    log_auth_events: Flag = Field(
        default=True,
        description="Write `log_dir/authevents.log`, with one JSON object for each decision. If false, "
        "decisions appear in the other logs only.",
    )
    log_max_size: Annotated[int, whole(4096, 2**40)] = Field(
        default=10_485_760,
        description="The size in bytes at which a log file is put aside and a new one begun.",
    )
    log_max_files: Annotated[int, whole(0, 10_000)] = Field(
        default=6, description="How many old log files are kept; 0: all."
    )
    http_ca_certs_file: FileOption | None = Field(
        default=None,
        examples=["cloud-ca.pem"],
        description="CA certificates (PEM) that verify the cloud's certificate, for sections without "
        "`api_ca_certs_file`. If not set: the system's.",
    )
    interface: Annotated[tuple[Address, ...], Listed] = Field(
        default=(),
        examples=[["10.0.0.5"]],
        description="IP addresses to listen on, for sections without an `interface` of their own. If not "
        "set: all.",
    )
    client: SectionName | None = Field(
        default=None,
        examples=["ad_client"],
        description="The client section for server sections that don't name one.",
    )
    server: SectionName | None = Field(
        default=None,
        examples=["radius_server_auto"],
        description="Accepted for existing files, which name the server section of `client` here. It has to "
        "exist; nothing else depends on it.",
    )
    fips_mode: Flag = Field(
        default=False, description="Not supported: RADIUS needs MD5, and NTLM needs MD5 and MD4."
    )
    admin: EndpointOption | None = Field(
        default=None,
        examples=["127.0.0.1:8912"],
        description="Where to serve health checks, metrics and the status page. If not set: nowhere. Only a "
        "loopback address, unless `admin_tls_cert`, `admin_tls_key` and `admin_token` are set.",
    )
    admin_token: SecretOption | None = Field(
        default=None,
        examples=[{"file": "admin-token"}],
        description="The token that a request to `admin` has to carry (`Authorization: Bearer …`).",
    )
    admin_tls_cert: FileOption | None = Field(
        default=None, examples=["admin.pem"], description="The certificate for `admin` (PEM), with its chain."
    )
    admin_tls_key: KeyFileOption | None = Field(
        default=None, examples=["admin.key"], description="The private key of `admin_tls_cert` (PEM)."
    )
    state_dir: PathOption = Field(
        default=Path("/var/lib/authproxy"),
        description="The folder for data that has to survive a restart. If not set: `$STATE_DIRECTORY`, "
        "else `/var/lib/authproxy` for root, else `authproxy` in the XDG state folder.",
    )
    user: (
        Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?", "not a user's name", "a user's name")]
        | None
    ) = Field(
        default=None,
        examples=["authproxy"],
        description="The user that the daemon becomes once all ports are bound, if it was started as root.",
    )
    drain_timeout: Annotated[float, seconds(0, 600)] = Field(
        default=70,
        description="How long the daemon waits, after SIGTERM, for logins that are waiting for their user.",
    )
    alarm_command: Annotated[tuple[Text, ...], Listed] = Field(
        default=(),
        examples=[["/usr/local/bin/page", "--team", "vpn"]],
        description="A program to run for each alarm: its full path, then its arguments. No shell is "
        "involved. The program gets the alarm as JSON on standard input, and is killed after 10 seconds. In "
        "a `.cfg`: `alarm_command`, `alarm_command_2`, …",
    )
    alarm_webhook: SecretOption | None = Field(
        default=None,
        examples=[{"file": "alarm-url"}],
        description="An https URL to which each alarm is sent by POST, as JSON. It is a secret because many "
        "services put a key into its path. It is called directly, never through `http_proxy_host`.",
    )
    alarm_webhook_token: SecretOption | None = Field(
        default=None,
        examples=[{"file": "alarm-token"}],
        description="A token that is sent to the webhook (`Authorization: Bearer …`).",
    )
    alarm_webhook_key: SecretOption | None = Field(
        default=None,
        examples=[{"file": "alarm-key"}],
        description="A key that signs each alarm for the webhook: `X-Authproxy-Signature: t=SECONDS,v1=HEX` "
        "with the HMAC-SHA-256 of `SECONDS.BODY`. At least 16 bytes.",
    )
    alarm_webhook_ca_certs_file: FileOption | None = Field(
        default=None,
        examples=["ca.pem"],
        description="CA certificates (PEM) that verify the webhook's certificate. If not set: the system's.",
    )
    alarm_webhook_allow_http: Flag = Field(
        default=False,
        description="Allow an http URL of this machine (127.0.0.1, ::1, localhost) as `alarm_webhook`.",
    )
    challenge_key: SecretOption | None = Field(
        default=None,
        examples=[{"file": "challenge-key"}],
        description="The key that seals the State of challenges. If not set: a key in `state_dir`, which "
        "only this machine has. If several nodes have the same key, each of them accepts answers to the "
        "others' challenges. At least 32 bytes. A change takes effect at the next start.",
    )
    challenge_key_before: SecretOption | None = Field(
        default=None,
        examples=[{"file": "challenge-key-before"}],
        description="A second key that is accepted beside `challenge_key`, so that nodes can change to a "
        "new key one after the other.",
    )
    push_limit: Annotated[int, whole(0, 100)] = Field(
        default=3,
        description="When a user has denied or not answered so many pushes, calls or text messages within "
        "`push_limit_window`, no more are sent to them for `push_limit_pause`. Passcodes still work. All "
        "sections count together. 0: no limit. In any case, a user gets only one prompt at a time.",
    )
    push_limit_window: Annotated[float, seconds(10, 86400)] = Field(
        default=600, description="The period over which prompts that a user didn't approve are counted."
    )
    push_limit_pause: Annotated[float, seconds(10, 86400)] = Field(
        default=900, description="For how long a user who has reached `push_limit` gets no prompts."
    )
    push_fraud_pause: Annotated[float, seconds(0, 86400)] = Field(
        default=3600, description="For how long a user gets no prompts after reporting one as fraud."
    )
    dictionary_dir: FolderOption | None = Field(
        default=None,
        examples=["dictionaries"],
        description="A folder with more RADIUS dictionaries, in FreeRADIUS's format.",
    )
    file_permissions: Annotated[FilePermissions, one_of(FilePermissions)] = Field(
        default=FilePermissions.NORMAL,
        description="What to do if other users can write, or can read secrets in, the configuration or a "
        "file that it names. `normal`: refuse to start if they can write one, warn if they can read a "
        "secret. `strict`: refuse in both cases. `warn`: warn in both cases.",
    )

    FAMILIES: ClassVar = (Family("alarm_command", "alarm_command", bare=True),)
    IGNORED: ClassVar = {
        "test_connectivity_on_startup": "`authproxy probe` tests the connections when you run it",
        "log_sso_events": "there is no sso section, so there are no such events",
    }

    def faults(self) -> Iterator[Finding]:
        if self.fips_mode:
            yield Finding(
                "fips_mode", "not supported: RADIUS and NTLM need MD5, which FIPS forbids; remove it"
            )
        yield from super().faults()
        if (self.admin_tls_cert is None) != (self.admin_tls_key is None):
            yield Finding("admin", "admin_tls_cert and admin_tls_key have to be set together")
        if self.admin and not self.admin.is_loopback and not (self.admin_tls_cert and self.admin_token):
            yield Finding(
                "admin",
                "not a loopback address: give admin_tls_cert, admin_tls_key and admin_token, or listen on 127.0.0.1",
            )
        for option in ("challenge_key", "challenge_key_before"):
            key = getattr(self, option)
            if key is not None and len(key) < _SHORTEST_CHALLENGE_KEY:
                yield Finding(option, "shorter than 32 bytes; `authproxy secret generate` makes a good one")
        if self.challenge_key_before is not None and self.challenge_key is None:
            yield Finding("challenge_key_before", "has no effect without challenge_key")
        if self.alarm_command and not self.alarm_command[0].startswith("/"):
            yield Finding(
                "alarm_command", "has to begin with the program's full path, such as /usr/bin/logger"
            )
        if self.alarm_webhook_key is not None and len(self.alarm_webhook_key) < _SHORTEST_KEY:
            yield Finding(
                "alarm_webhook_key",
                "shorter than 16 bytes; `authproxy secret generate` makes a good one",
            )
        if self.alarm_webhook is None:
            for option in ("alarm_webhook_token", "alarm_webhook_key", "alarm_webhook_ca_certs_file"):
                if getattr(self, option) is not None:
                    yield Finding(option, "has no effect without alarm_webhook")

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        if not self.push_limit:
            yield Finding(
                "push_limit",
                "0: whoever knows a password can send pushes until the user approves one by mistake",
            )
