"""Several nodes: requirements H1 to H8."""

from __future__ import annotations

from tests.mutants.mutation import Elsewhere, Item, Mutation

_CHALLENGE = "pipeline/challenge.py"
_SECOND_STEP = "pipeline/second_step.py"
_JOINING = "backends/shared_state/joining.py"
_STORE = "backends/shared_state/store.py"
_STORE_TESTS = "backends/shared_state/test_store.py::"

ITEMS = (
    Item("H1", "high", "the balancer keeps the client's address; its word counts from listed balancers only"),
    Item(
        "H2",
        "high",
        "without shared state: the same client at the same node, and health checks that say no while draining",
    ),
    Item("H3", "critical", "any node opens a State that another sealed; keys change without a gap"),
    Item("H4", "critical", "what a sealed State can't give is shared, or its limits are said"),
    Item("H5", "critical", "a shared store that is down opens nothing and stops nobody"),
    Item("H6", "high", "a NAS that goes to another node in the middle of a push"),
)

MUTATIONS = (
    Mutation(
        ("H1",),
        "anybody may say in a PROXY header where he comes from",
        "listeners/ldap/listener.py",
        "any(ip_address(address) in network for network in self._balancers)",
        "True",
        ("listeners/ldap/test_listener.py::test_nobody_else_may",),
    ),
    Mutation(
        ("H2",),
        "a balancer that asks by Status-Server hears yes while the node drains",
        "listeners/radius/listener.py",
        '            raise Discarded("draining")\n        if served.section.stays_silent',
        "            pass\n        if served.section.stays_silent",
        ("listeners/radius/test_listener.py::test_draining",),
    ),
    Mutation(
        ("H3",),
        "a State of the key before this one is nobody's",
        "protocols/radius/state.py",
        "self._ciphers = {_mark(key): AESGCM(_derived(key)) for key in keys}",
        "self._ciphers = {_mark(key): AESGCM(_derived(key)) for key in keys[:1]}",
        ("protocols/radius/test_state.py::test_keys_are_changed_without_a_gap",),
    ),
    Mutation(
        ("H3",),
        "each node has a key of its own, whatever is configured",
        "service/daemon.py",
        "StateSeal(configured or [state.key])",
        "StateSeal([state.key])",
        ("system/test_radius_modes.py::test_an_answer_at_another_node",),
    ),
    Mutation(
        ("H3",),
        "a State counts whoever made it",
        "protocols/radius/state.py",
        "        except InvalidTag:\n            return None\n",
        "        except InvalidTag:\n            return sealed[:-_TAG]\n",
        ("protocols/radius/test_state.py::test_each_octet_and_each_length_counts",),
    ),
    Mutation(
        ("H4", "R40"),
        "a State may be answered once at each node",
        _CHALLENGE,
        "        if turn is Turn.AGAIN:\n",
        "        if False:\n",
        ("pipeline/test_nodes.py::test_a_code_that_another_node_has_tried",),
    ),
    Mutation(
        ("H4", "R40"),
        "of a code that another node has tried, the cloud is asked once more",
        _SECOND_STEP,
        "Over.OVER if pending.answered else await self._cloud.auth",
        "await self._cloud.auth",
        ("pipeline/test_nodes.py::test_a_code_that_another_node_has_tried",),
    ),
    Mutation(
        ("H4", "R40"),
        "a State that was answered lets in whom the cloud asks for nothing by now",
        _SECOND_STEP,
        "self._answered_by(pending, Over.OVER, facts) if pending.answered else devices",
        "devices",
        ("pipeline/test_nodes.py::test_a_state_that_was_answered_is_no_bypass_either",),
    ),
    Mutation(
        ("H4", "R40"),
        "the answer to a challenge prompts its user at each node",
        "pipeline/prompting.py",
        "prompt, None if answered else lambda: cloud.auth(request, username, call)",
        "prompt, lambda: cloud.auth(request, username, call)",
        ("pipeline/test_nodes.py::test_the_push_that_came_of_the_same_answer",),
    ),
    Mutation(
        ("H4",),
        "what a node kept of one user is taken for another's",
        _CHALLENGE,
        'if pending.username not in ("", username):',
        "if False:",
        ("pipeline/test_nodes.py::test_what_was_kept_of_another_user",),
    ),
    Mutation(
        ("H4",),
        "wrong passwords at other nodes don't count",
        "backends/lockout.py",
        "        if token is None:\n            self._tell(user, known)\n            return HELD\n",
        "        token = token or b''\n",
        ("backends/test_lockout.py::test_what_the_other_nodes_have_counted",),
    ),
    Mutation(
        ("H4",),
        "what is sealed for one place is believed in another",
        "protocols/shared_state.py",
        "return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], place)",
        "return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], b'')",
        (_STORE_TESTS + "test_a_challenge", "protocols/test_shared_state.py"),
    ),
    Mutation(
        ("H4",),
        "the store tells names",
        "protocols/shared_state.py",
        'return self._prefix + kind.encode() + b":" + self.digest(kind.encode(), *parts)',
        'return self._prefix + kind.encode() + b":" + b"/".join(parts)',
        ("protocols/test_shared_state.py::test_a_name_tells_nothing",),
    ),
    Mutation(
        ("H4", "T1"),
        "the store's certificate isn't looked at",
        "backends/shared_state/link.py",
        "if settings.trust is not None:",
        "if False:",
        ("backends/shared_state/test_link.py::test_with_another_certificate",),
    ),
    Mutation(
        ("H5",),
        "without the store a State is answered at any node, as often as there are nodes",
        _CHALLENGE,
        "if turn is Turn.UNKNOWN and pending.restored:",
        "if False:",
        ("pipeline/test_nodes.py::test_nobody_can_tell_whether_it_was_answered",),
    ),
    Mutation(
        ("H5",),
        "without the store each node uses all of a limit",
        _STORE,
        "return most if together else max(1, most // self._nodes)",
        "return most",
        (_STORE_TESTS + "test_limits_while_it_is_away",),
    ),
    Mutation(
        ("H5",),
        "pushes aren't limited further while a node is alone",
        "pipeline/prompting.py",
        "rules = replace(rules, most=self.nodes.share(rules.most))",
        "pass",
        ("pipeline/test_nodes.py::test_the_limit_is_divided_while_the_others_are_out_of_reach",),
    ),
    Mutation(
        ("H5",),
        "a server that doesn't answer is waited for",
        "backends/shared_state/link.py",
        "elif came == self._came or left <= -self._timeout:",
        "elif False:",
        ("backends/shared_state/test_link.py::test_an_answer_that_is_none",),
    ),
    Mutation(
        ("H6",),
        "any verdict in the store lets in",
        _JOINING,
        "opened = self._keys.open(_place(token, waiting.claim), sealed)",
        "opened = self._keys.open(_place(token, waiting.claim), sealed) or sealed",
        (_STORE_TESTS + "test_a_verdict_that_nobody_has_given",),
    ),
    Mutation(
        ("H6",),
        "a verdict is believed again for who asks later",
        _JOINING,
        'return b" ".join((b"verdict", token, claim.token, claim.login))',
        'return b" ".join((b"verdict", claim.token, claim.login))',
        (_STORE_TESTS + "test_who_joined_is_told_for_their_own_question",),
    ),
    Mutation(
        ("H6",),
        "whoever logs in as this user gets the verdict on another login of theirs",
        _STORE,
        "if isinstance(other, Claim) and other.login == claim.login and other.node != self._node:",
        "if isinstance(other, Claim) and other.node != self._node:",
        (_STORE_TESTS + "test_another_login_of_the_same_user_waits_for_its_turn",),
    ),
    Mutation(
        ("H6",),
        "another application's verdict is believed, if its section has the same name",
        "pipeline/prompting.py",
        "            self.application.encode(),\n",
        "",
        ("pipeline/test_nodes.py::test_another_application",),
    ),
    Mutation(
        ("H6", "R46"),
        "another place makes no other login, for who joins at another node",
        "pipeline/prompting.py",
        "            request.calling_station,\n",
        "",
        ("pipeline/test_nodes.py::test_what_makes_it_another_login",),
    ),
)

ELSEWHERE: tuple[Elsewhere, ...] = ()
