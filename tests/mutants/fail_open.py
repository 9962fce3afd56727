"""Who may pass an open door: requirements F2 to F9."""

from __future__ import annotations

from tests.mutants.mutation import Elsewhere, Item, Mutation

ITEMS = (
    Item("F2", "critical", "closed by default; open is written down, per section, and said"),
    Item("F3", "critical", "what was answered, refused, broken or asked for never opens"),
    Item(
        "F4",
        "critical",
        "open: an outage in preauth, met by an independent probe too, behind a right password",
    ),
    Item("F5", "critical", "signs of tampering keep the door shut"),
    Item("F6", "critical", "nobody can bring an outage about from outside"),
    Item("F7", "high", "an open door has its limits"),
    Item("F8", "critical", "nobody passes an open door unrecorded"),
    Item("F9", "high", "a session that an open door let in can be told by the NAS"),
)

_FAIL_MODE = "pipeline/fail_mode.py"
_GATES = "backends/open_door.py"
_OPENING = "backends/cloud/opening.py"
_GATE_TESTS = "backends/test_open_door.py"
_PIPELINE_TESTS = "pipeline/test_authenticate.py"
_CLOUD_TESTS = "backends/cloud/test_failures.py"

MUTATIONS = (
    Mutation(
        ("F2",),
        "a section that says nothing fails open",
        "config/model/server.py",
        "default=FailMode.SECURE,",
        "default=FailMode.SAFE,",
        ("config/test_load.py::test_yaml_leans_to_the_safe_side",),
    ),
    Mutation(
        ("F3", "F4"),
        "a secure section opens",
        _FAIL_MODE,
        "        case FailMode.SECURE:\n            return Reject(Reason.FAIL_CLOSED, UNAVAILABLE)\n",
        "        case FailMode.SECURE:\n            return MayOpen()\n",
        (f"{_PIPELINE_TESTS}::test_an_outage_opens_a_safe_section_and_no_secure_one",),
    ),
    Mutation(
        ("F3",),
        "any failure of the cloud is an outage",
        _FAIL_MODE,
        "    if failure.failure not in OUTAGE:\n        return Reject(Reason.CLOUD_REFUSED, UNAVAILABLE)\n",
        "",
        (f"{_PIPELINE_TESTS}::test_classes_that_never_open",),
    ),
    Mutation(
        ("F3",),
        "the gates let any class through",
        _GATES,
        'return "" if failure.failure in OUTAGE else "class"',
        'return ""',
        (f"{_GATE_TESTS}::test_no_other_class_ever",),
    ),
    Mutation(
        ("F3",),
        "an untrusted certificate is an outage",
        _OPENING,
        "failure = FailureClass.UNTRUSTED if is_untrusted(error) else FailureClass.UNREACHABLE",
        "failure = FailureClass.UNREACHABLE",
        (f"{_CLOUD_TESTS}::test_wrong_certificates",),
    ),
    Mutation(
        ("F3",),
        "refused credentials are an outage",
        "backends/cloud/failures.py",
        "        return FailureClass.CREDENTIAL\n",
        "        return FailureClass.UNREACHABLE\n",
        (f"{_CLOUD_TESTS}::test_replies",),
    ),
    Mutation(
        ("F3",),
        "429 is an outage",
        "backends/cloud/failures.py",
        "        return FailureClass.OVERLOAD\n",
        "        return FailureClass.SERVER_ERROR\n",
        (f"{_CLOUD_TESTS}::test_too_many_requests",),
    ),
    Mutation(
        ("F3",),
        "a reply that was cut short is an outage",
        "backends/cloud/failures.py",
        "super().__init__(FailureClass.PROTOCOL, detail)",
        "super().__init__(FailureClass.UNREACHABLE, detail)",
        (f"{_CLOUD_TESTS}::test_replies",),
    ),
    Mutation(
        ("F3",),
        "a process without descriptors sees an outage",
        _OPENING,
        'raise CloudFailure(FailureClass.INTERNAL, f"{host}: {error}") from None',
        'raise CloudFailure(FailureClass.UNREACHABLE, f"{host}: {error}") from None',
        (f"{_CLOUD_TESTS}::test_no_descriptors_left_is_our_own_lack",),
    ),
    Mutation(
        ("F3",),
        "a bug of ours is an outage",
        "backends/cloud/cloud.py",
        "raise CloudFailure(FailureClass.INTERNAL, type(bug).__name__) from None",
        "raise CloudFailure(FailureClass.UNREACHABLE, type(bug).__name__) from None",
        (f"{_CLOUD_TESTS}::test_our_own_bug_is_told_and_opens_nothing",),
    ),
    Mutation(
        ("F3",),
        "the HTTP proxy's refusal is an outage",
        "backends/cloud/proxy.py",
        "failure = FailureClass.UNREACHABLE if status in _GATEWAY else FailureClass.REQUEST",
        "failure = FailureClass.UNREACHABLE",
        ("backends/cloud/test_proxy.py::test_other_proxies",),
    ),
    Mutation(
        ("F3",),
        "an outage opens once a factor is due",
        "pipeline/second_step.py",
        "        return await self._strict(self._asked_once(request, typed, pending, devices, facts), facts)\n",
        "        try:\n"
        "            return await self._asked_once(request, typed, pending, devices, facts)\n"
        "        except CloudFailure as failure:\n"
        "            return await self._outage.behind(request, verified, facts, failure)\n",
        (f"{_PIPELINE_TESTS}::test_nothing_opens_once_a_factor_is_due",),
    ),
    Mutation(
        ("F3",),
        "a cloud that isn't there lets in who answers a challenge",
        "pipeline/fail_mode.py",
        "return Reject(Reason.FAIL_CLOSED if outage else Reason.CLOUD_REFUSED, UNAVAILABLE)",
        "from authproxy.pipeline.decision import Accept\n"
        "    return Accept(Reason.FAIL_OPEN) if outage else Reject(Reason.CLOUD_REFUSED)  # type: ignore[return-value]",
        ("pipeline/test_modes.py::test_an_outage_behind_the_prompt_opens_nothing",),
    ),
    Mutation(
        ("F4",),
        "a directory that doesn't answer is an outage too",
        "pipeline/authenticate.py",
        "            facts.detail = str(unavailable)\n            return Reject(Reason.PRIMARY_UNAVAILABLE)\n",
        "            return await self._second.behind(\n"
        "                request, credential.typed, Verified(request.username.canonical), facts\n"
        "            )\n",
        (f"{_PIPELINE_TESTS}::test_primary_down_is_no_open_door",),
    ),
    Mutation(
        ("F4",),
        "the probe is not asked",
        _GATES,
        "            self._probe_agrees,\n",
        "",
        (f"{_GATE_TESTS}::test_a_probe_that_is_answered",),
    ),
    Mutation(
        ("F4",),
        "credentials that never worked open",
        _GATES,
        'return "" if self._proven() else "not_proven"',
        'return ""',
        (f"{_GATE_TESTS}::test_credentials_that_never_worked",),
    ),
    Mutation(
        ("F5",),
        "a name that points to this machine is as good as another",
        _OPENING,
        "            if not is_public(address):\n",
        "            if not address:\n",
        (f"{_CLOUD_TESTS}::test_a_name_that_points_to_the_inside",),
    ),
    Mutation(
        ("F5",),
        "a name that is gone is an outage",
        _OPENING,
        "failure = FailureClass.UNTRUSTED if gone else FailureClass.UNREACHABLE",
        "failure = FailureClass.UNREACHABLE",
        (f"{_CLOUD_TESTS}::test_a_name_that_is_gone",),
    ),
    Mutation(
        ("F5",),
        "the probe's sign of tampering counts as an outage",
        _GATES,
        'return "" if met.failure in OUTAGE else f"probe_{met.failure.value}"',
        'return ""',
        (f"{_GATE_TESTS}::test_a_probe_that_is_refused",),
    ),
    Mutation(
        ("F6",),
        "a user whose logins fail opens the breaker without a probe",
        "backends/cloud/breaker.py",
        "        self._state = NEXT[self._state, Event.TRIPPED]\n        return True\n",
        "        self._state, self._failure, self.opened_at = State.OPEN, failure, now\n        return True\n",
        ("backends/cloud/test_breaker.py::test_three_failures_and_a_probe_open_it",),
    ),
    Mutation(
        ("F6",),
        "refusals trip the breaker",
        "backends/cloud/breaker.py",
        "failed = failure is not None and failure.failure in OUTAGE\n        if failure is not None and not failed:",
        "failed = failure is not None\n        if failure is not None and not failed:",
        ("backends/cloud/test_breaker.py::test_refusals_never_trip_it",),
    ),
    Mutation(
        ("F6",),
        "waiting behind too many of our own logins is the cloud's fault",
        "backends/cloud/pool.py",
        "turn.errback(CloudFailure(FailureClass.OVERLOAD",
        "turn.errback(CloudFailure(FailureClass.UNREACHABLE",
        ("backends/cloud/test_pool.py::test_waiting_in_vain_is_our_own_overload",),
    ),
    Mutation(
        ("F8",),
        "datagrams that anybody can send push the record of an open door out of the audit's files",
        "listeners/radius/section.py",
        "if not asked.authentic and self._strange.exceeds(asked.client, MOST_STRANGE, asked.received):",
        "if False:",
        ("listeners/radius/test_listener.py::test_what_anybody_may_have_sent_fills_no_audit",),
    ),
    Mutation(
        ("F8",),
        "an open door's record is queued like any other",
        "observe/record.py",
        "            self._audit.write_now(event)\n",
        "            self._audit.write(event)\n",
        ("observe/test_record.py::test_no_record_no_open_door",),
    ),
    Mutation(
        ("F8",),
        "whoever couldn't be recorded gets in all the same",
        "pipeline/authenticate.py",
        "            decision = Reject(Reason.FAIL_CLOSED)\n            self._recorder",
        "            self._recorder",
        (f"{_PIPELINE_TESTS}::test_no_record_no_entry",),
    ),
    Mutation(
        ("F8",),
        "an open door is a line like any other",
        "observe/record.py",
        'self._log.warn(f"login.let_in_by_{event.reason}", **fields)',
        'self._log.info("login.decided", **fields)',
        ("observe/test_record.py::test_an_open_door_is_written_first_and_everywhere",),
    ),
    Mutation(
        ("F7",),
        "a door stays open for ever",
        "backends/allowance.py",
        "        if limits.minutes and now - spent.began >= limits.minutes * 60:\n",
        "        if limits.minutes < 0:\n",
        ("backends/test_allowance.py::test_minutes",),
    ),
    Mutation(
        ("F7",),
        "any number may pass an hour",
        "backends/allowance.py",
        "        if limits.per_hour and not _pass(spent, limits.per_hour, now):\n",
        "        if limits.per_hour < 0:\n",
        ("backends/test_allowance.py::test_per_hour",),
    ),
    Mutation(
        ("F7",),
        "a restart begins a new allowance",
        "backends/allowance.py",
        "            self._read(path)\n",
        "            pass\n",
        ("backends/test_allowance.py::test_minutes_go_on_over_restarts",),
    ),
    Mutation(
        ("F7",),
        "a full disk lets everybody pass",
        "backends/allowance.py",
        '            self._sections[section] = before\n            return "limit_unknown"\n',
        "            self._sections[section] = before\n",
        ("backends/test_allowance.py::test_a_full_disk_keeps_it_shut",),
    ),
    Mutation(
        ("F9",),
        "what the primary or a group grants stands beside the mark",
        "listeners/radius/mark.py",
        "return [*(attribute for attribute in attributes if attribute.type not in types), *marks]",
        "return [*(attribute for attribute in attributes if attribute.type not in ()), *marks]",
        ("listeners/radius/test_answer.py::test_a_mark_takes_the_place_of_the_primary_s",),
    ),
    Mutation(
        ("F9",),
        "nobody is marked",
        "listeners/radius/answer.py",
        "return mark.on(attributes) if isinstance(mark, SessionMark) else attributes",
        "return attributes",
        ("listeners/radius/test_answer.py::test_a_marked_session",),
    ),
)

ELSEWHERE: tuple[Elsewhere, ...] = ()
