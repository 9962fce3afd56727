"""Availability: requirements A1 to A19."""

from __future__ import annotations

from tests.mutants.mutation import Elsewhere, Item, Mutation

ITEMS = (
    Item("A1", "critical", "everything that waits is bounded; new work is shed first"),
    Item("A2", "high", "nothing holds the event loop up"),
    Item("A3", "high", "look-ups have threads of their own"),
    Item("A4", "high", "the last good answer of a name serves through a bad day"),
    Item("A5", "high", "dead primaries are remembered and probed; a no is final"),
    Item("A6", "critical", "deadlines are for the whole exchange; who drips doesn't stretch them"),
    Item("A7", "critical", "an outage costs one time-out, not one a login"),
    Item("A8", "high", "no descriptors left: our own lack, and what is served goes on"),
    Item("A9", "high", "who is slow, silent or half there is cut off in time"),
    Item("A10", "high", "attempts are limited, below the directory's own lockout"),
    Item("A11", "critical", "nobody is worn down by pushes"),
    Item("A12", "high", "SIGTERM: nothing new, what waits is answered"),
    Item("A13", "high", "a reload changes all or nothing, and nobody who waits"),
    Item("A19", "high", "a bug costs one request, and that is answered"),
)

_LISTENER = "listeners/radius/listener.py"
_LISTENER_TESTS = "listeners/radius/test_listener.py"
_FAILOVER_TESTS = "backends/directory/test_failover.py"
_LDAP_TESTS = "listeners/ldap/test_listener.py"

MUTATIONS = (
    Mutation(
        ("A1",),
        "everybody is let in while too many are worked on",
        _LISTENER,
        "if self._load.is_full(served.client, self._limits) or self._workload.is_full:",
        "if self._load.is_full(served.client, self._limits):",
        (f"{_LISTENER_TESTS}::test_new_logins_are_shed_while_too_many_are_worked_on",),
    ),
    Mutation(
        ("A1",),
        "one client may have any number of requests in progress",
        "listeners/radius/load.py",
        "            or self._by_client[client.key] >= room * limits.pending_per_client\n",
        "",
        (f"{_LISTENER_TESTS}::test_one_client_leaves_room_for_others",),
    ),
    Mutation(
        ("A1",),
        "any number of logins wait for a connection to the directory",
        "backends/directory/pool.py",
        "if len(self._waiting) >= self._most_waiting:",
        "if len(self._waiting) < 0:",
        ("backends/directory/test_pool.py::test_the_queue_is_bounded",),
    ),
    Mutation(
        ("A2",),
        "what waits for a blocked log has no bound",
        "observe/writer.py",
        "if len(self._lines) >= self._capacity or waiting + len(line) > self._most_octets:",
        "if waiting < 0:",
        ("observe/test_writer.py::test_a_stuck_outlet_keeps_nobody_waiting",),
    ),
    Mutation(
        ("A3",),
        "one look-up waits for another",
        "backends/resolve.py",
        "self._pool = _Threads(0, threads",
        "self._pool = _Threads(0, 1",
        ("backends/test_resolve.py::test_a_hanging_name_holds_up_no_other",),
    ),
    Mutation(
        ("A4",),
        "a name server's bad day makes an address unknown",
        "backends/resolve.py",
        "    if failed is not None and failed.nxdomain:\n",
        "    if failed is not None:\n",
        ("backends/test_resolve.py::test_the_last_good_answer_for_a_bad_day",),
    ),
    Mutation(
        ("A5",),
        "the next directory is asked after a refusal",
        "backends/directory/directory.py",
        "                self._hosts.answered(server)\n                return answer\n",
        "                self._hosts.answered(server)\n"
        "                if not isinstance(answer, Refused) or at + 1 == len(servers):\n"
        "                    return answer\n",
        (f"{_FAILOVER_TESTS}::test_a_refusal_is_final",),
    ),
    Mutation(
        ("A5",),
        "a dead directory is asked first by each login",
        "backends/directory/hosts.py",
        "good = [each.host for each in self._watched if each.state in (State.UP, State.UNKNOWN)]",
        "good = [each.host for each in self._watched if each.state is not State.SUSPECT]",
        (f"{_FAILOVER_TESTS}::test_a_dead_host_costs_once",),
    ),
    Mutation(
        ("A5",),
        "a RADIUS server that is silent never counts as dead",
        "backends/radius/server.py",
        "if self._silences >= _SILENCES:",
        "if self._silences < 0:",
        ("backends/radius/test_primary.py::test_silence_moves_on_and_is_remembered",),
    ),
    Mutation(
        ("A6",),
        "a directory that drips has as long as it likes",
        "backends/directory/connection.py",
        "max(0.0, deadline - self._reactor.seconds()), self.abort,",
        "max(0.0, deadline - self._reactor.seconds()) + 60, self.abort,",
        (f"{_FAILOVER_TESTS}::test_a_dripping_answer_doesnt_stretch_the_deadline",),
    ),
    Mutation(
        ("A6",),
        "a cloud that drips has as long as it likes",
        "backends/cloud/http1.py",
        "self._reactor.callLater(max(0.0, deadline - self._reactor.seconds()), self._timed_out)",
        "self._reactor.callLater(max(0.0, deadline - self._reactor.seconds()) + 60, self._timed_out)",
        ("backends/cloud/test_failures.py::test_replies",),
    ),
    Mutation(
        ("A7",),
        "each login asks a cloud that is known to be away",
        "backends/cloud/guarded.py",
        "        self._refuse_if_open()\n        asking =",
        "        asking =",
        ("backends/cloud/test_guarded.py::test_an_outage_is_met_by_few_and_told_to_the_rest_at_once",),
    ),
    Mutation(
        ("A7",),
        "nobody looks whether the cloud is back",
        "backends/cloud/guarded.py",
        "            if self.is_open and not self._closed:\n",
        "            if self._closed:\n",
        ("backends/cloud/test_guarded.py::test_one_probe_at_a_time_looks_for_recovery",),
    ),
    Mutation(
        ("A8",),
        "a process without descriptors sees a network that is down",
        "backends/cloud/connecting.py",
        "        errno.EMFILE,\n",
        "",
        ("backends/cloud/test_failures.py::test_no_descriptors_left_is_our_own_lack",),
    ),
    Mutation(
        ("A9",),
        "who connects and says nothing may stay",
        "listeners/ldap/connection.py",
        "if not self._spoken and now - self._opened > limits.first:",
        "if not self._spoken and now < self._opened:",
        (f"{_LDAP_TESTS}::test_a_first_message_that_does_not_come",),
    ),
    Mutation(
        ("A12",),
        "new logins begin while it drains",
        _LISTENER,
        '            raise Discarded("draining")\n        if self._is_full',
        "            pass\n        if self._is_full",
        (f"{_LISTENER_TESTS}::test_draining",),
    ),
    Mutation(
        ("A12",),
        "Status-Server is answered while it drains",
        _LISTENER,
        '            raise Discarded("draining")\n        if served.section.stays_silent',
        "            pass\n        if served.section.stays_silent",
        (f"{_LISTENER_TESTS}::test_draining",),
    ),
    Mutation(
        ("A13",),
        "a port that stays keeps its old clients",
        _LISTENER,
        "        self._served = served\n        self._limits = limits\n        self._duplicates.keep",
        "        self._limits = limits\n        self._duplicates.keep",
        (f"{_LISTENER_TESTS}::test_another_configuration",),
    ),
    Mutation(
        ("A13",),
        "a mistake in the new file ends the service",
        "service/daemon.py",
        "        except InvalidConfig as invalid:\n            for problem",
        "        except InvalidConfig as invalid:\n            self._stop()\n            for problem",
        ("system/test_availability.py::test_reload",),
    ),
    Mutation(
        ("A19",),
        "a bug in a login leaves it without an answer",
        _LISTENER,
        '        self._log.failure("radius.login_failed", bug)\n        answer(Reject(Reason.INTERNAL))\n',
        '        self._log.failure("radius.login_failed", bug)\n',
        (f"{_LISTENER_TESTS}::test_work_that_raises_rejects",),
    ),
    Mutation(
        ("A19",),
        "a bug before the section ends the listener",
        _LISTENER,
        "        except Exception as bug:  # noqa: BLE001 - the listener's catch-all\n",
        "        except ZeroDivisionError as bug:\n",
        (f"{_LISTENER_TESTS}::test_a_bug_before_the_section_costs_one_datagram",),
    ),
)

ELSEWHERE = (
    Elsewhere("A10", "being built"),
    Elsewhere("A11", "being built"),
)
