"""Turns a section's options into the pipeline's policy."""

from __future__ import annotations

from dataclasses import replace

from authproxy.backends.directory.admission import DirectoryAdmission
from authproxy.backends.radius.admission import RadiusAdmission
from authproxy.config.model import (
    Appending,
    Main,
    RadiusServer,
    RadiusServerAuto,
    RadiusServerChallenge,
    RadiusServerConcat,
    RadiusServerDuoOnly,
    RadiusServerEap,
    ServerSection,
)
from authproxy.listeners.radius.mark import SessionMark
from authproxy.pipeline.credential import AppendMode
from authproxy.pipeline.failure_limit import FailureRules
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import Admission
from authproxy.pipeline.push_limit import PushRules
from authproxy.pipeline.username import canonical
from authproxy.protocols.radius.packet import CLASS, FILTER_ID, REPLY_MESSAGE, Attribute
from authproxy.service.building.parts import DirectoryPart, NoPart, PrimaryPart, RadiusPart


def section_policy(options: RadiusServer, primary: PrimaryPart) -> Policy:
    policy = Policy(
        fail_mode=options.failmode,
        exempt=frozenset(canonical(name) for name in options.exempt_usernames),
        mark=_session_mark(options),
        slow_cloud=options.slow_cloud,
        radius_primary=isinstance(primary, RadiusPart),
        carries=isinstance(primary, RadiusPart) and primary.primary.returns,
        no_primary=isinstance(primary, NoPart),
        admission=_admission(primary),
    )
    match options:
        case RadiusServerAuto() | RadiusServerEap():
            return replace(policy, append=_append(options, options.allow_concat), factors=options.factors)
        case RadiusServerConcat():
            return replace(policy, mode=Mode.CONCAT, append=_append(options, True))
        case RadiusServerChallenge():
            return replace(
                policy,
                mode=Mode.CHALLENGE,
                prompt_format=options.prompt_format,
                enroll_challenge=options.enroll_challenge,
            )
        case RadiusServerDuoOnly():
            return replace(policy, mode=Mode.FACTOR_ONLY)
        case _:
            raise TypeError(f"no policy for {type(options).__name__}")


def _admission(primary: PrimaryPart) -> Admission | None:
    match primary:
        case DirectoryPart():
            return DirectoryAdmission(primary.primary)
        case RadiusPart():
            return RadiusAdmission(frozenset(primary.primary.settings.hosts))
        case NoPart():
            return None


def _session_mark(options: RadiusServer) -> SessionMark | None:
    given = {
        CLASS: options.fail_open_class,
        FILTER_ID: options.fail_open_filter_id,
        REPLY_MESSAGE: options.fail_open_reply_message,
    }
    attributes = tuple(Attribute(type, text.encode()) for type, text in given.items() if text)
    return SessionMark(attributes) if attributes else None


def failure_rules(options: ServerSection) -> FailureRules:
    return FailureRules(
        station=options.failures_per_station if isinstance(options, RadiusServer) else 0,
        client=options.failures_per_client,
        window=options.failures_refill,
    )


def push_rules(main: Main) -> PushRules:
    return PushRules(main.push_limit, main.push_limit_window, main.push_limit_pause, main.push_fraud_pause)


def _append(options: Appending, enabled: bool) -> AppendMode:
    return AppendMode(enabled, options.delimiter.encode(), options.delimited_password_length)
