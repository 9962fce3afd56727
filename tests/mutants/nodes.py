"""Several nodes: requirements H1 to H8."""

from __future__ import annotations

from tests.mutants.mutation import Elsewhere, Item, Mutation

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
)

ELSEWHERE = (
    Elsewhere("H4", "there is no shared store: a node's limits are its own, as docs/nodes.md says"),
    Elsewhere("H5", "there is no shared store"),
    Elsewhere(
        "H6", "there is no shared store: another node asks anew, docs/nodes.md says how a NAS is kept at one"
    ),
)
