"""Secrets and the host: requirements S1 to S12."""

from __future__ import annotations

from tests.mutants.mutation import Elsewhere, Item, Mutation

ITEMS = (
    Item("S1", "critical", "no secret is printed, whoever prints"),
    Item("S2", "high", "what a peer writes can't leave its place in a log line"),
    Item(
        "S3", "high", "secrets at rest are sealed for one machine; none in arguments or a child's environment"
    ),
    Item("S4", "high", "files that others can read or write are found"),
    Item("S5", "high", "a configuration is read strictly, and every secret survives it"),
    Item("S6", "critical", "what authenticates is compared in constant time"),
    Item("S7", "high", "what must not be guessed comes from the system's source"),
    Item("S8", "high", "it doesn't run as root"),
    Item("S9", "high", "the unit's exposure, as systemd measures it, is at most 1.5, or 1.7 with low ports"),
)

_SECRET = "secret.py"
_SECRETS_TESTS = "config/test_secrets.py"

MUTATIONS = (
    Mutation(
        ("S1",),
        "a secret prints itself",
        _SECRET,
        '    def __repr__(self) -> str:\n        return "Secret(…)"\n',
        "    def __repr__(self) -> str:\n        return repr(self._octets)\n",
        ("observe/test_lines.py::test_octets_and_secrets",),
    ),
    Mutation(
        ("S1",),
        "an attribute prints its value",
        "protocols/radius/packet.py",
        '        return f"Attribute({self.type}, {len(self.value)} octets)"\n',
        '        return f"Attribute({self.type}, {self.value!r})"\n',
        ("protocols/radius/test_packet.py::test_nothing_in_a_packet_prints",),
    ),
    Mutation(
        ("S1",),
        "an error's text is logged as it is",
        "observe/failures.py",
        "    return masked(text)\n",
        "    return text\n",
        ("observe/test_failures.py::test_other_peoples_texts_lose_their_values",),
    ),
    Mutation(
        ("S1",),
        "a link that adds a phone is on record",
        "observe/record.py",
        'return _LINK.sub(r"\\1…", said) if decision.reason in _ENROLLING else said',
        "return said",
        ("observe/test_record.py::test_a_link_to_enroll_is_on_no_record",),
    ),
    Mutation(
        ("S2",),
        "values stand in a line as they are",
        "observe/lines.py",
        "return encode_basestring(text) if text.isprintable() else encode_basestring_ascii(text)",
        "return text",
        ("observe/test_lines.py::test_a_forged_line_stays_a_value",),
    ),
    Mutation(
        ("S2",),
        "a value has no end",
        "observe/lines.py",
        "return text if len(text) <= MAX_VALUE else",
        "return text if text else",
        ("observe/test_lines.py::test_a_value_has_an_end",),
    ),
    Mutation(
        ("S3",),
        "a sealed secret that was changed opens",
        "config/sealing.py",
        'raise SecretUnavailable("the sealed text was changed: seal the secret again") from None',
        "return Secret(sealed)",
        (f"{_SECRETS_TESTS}::test_a_forged_or_damaged_seal_opens_nothing",),
    ),
    Mutation(
        ("S3",),
        "a key that others can read seals",
        "config/sealing.py",
        "if mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IRGRP:",
        "if mode & 0:",
        (f"{_SECRETS_TESTS}::test_a_key_that_others_have_is_no_key",),
    ),
    Mutation(
        ("S4",),
        "a configuration that everyone can read is fine",
        "config/permissions.py",
        "    if secret and status.st_mode & stat.S_IROTH and not _closed(folders):\n",
        "    if secret and not status.st_mode:\n",
        ("config/test_permissions.py::test_the_matrix",),
    ),
    Mutation(
        ("S4",),
        "a folder that others can write is fine",
        "config/permissions.py",
        "if not folder_status.st_mode & stat.S_ISVTX and (others := _writers(folder_status)):",
        "if not folder_status.st_mode and (others := _writers(folder_status)):",
        ("config/test_permissions.py::test_a_folder_that_others_can_write",),
    ),
    Mutation(
        ("S4",),
        "a state folder that others can write is fine",
        "config/permissions.py",
        "    found = list(exposures(folder, secret=False))\n",
        "    found = list(exposures(folder, secret=False))[:0]\n",
        ("config/test_permissions.py::test_a_state_that_others_can_write",),
    ),
    Mutation(
        ("S5",),
        "an option that stands twice counts once",
        "config/cfg_syntax.py",
        "        elif name in self._options:\n",
        "        elif name in self._options and not value:\n",
        ("config/test_cfg_syntax.py::test_what_is_no_line_of_it",),
    ),
    Mutation(
        ("S5",),
        "# ends a value",
        "config/cfg_syntax.py",
        "Scalar(value, number, Style.CFG)",
        'Scalar(value.partition("#")[0], number, Style.CFG)',
        (f"{_SECRETS_TESTS}::test_any_printable_secret_survives_cfg",),
    ),
    Mutation(
        ("S5",),
        "an unknown option is passed over",
        "config/sections.py",
        '            case "extra_forbidden":\n                what = _unknown(kind, location)\n',
        '            case "extra_forbidden":\n                continue\n',
        ("config/test_load.py::test_every_problem_at_once_in_the_order_of_the_file",),
    ),
    Mutation(
        ("S6",),
        "secrets are compared octet by octet",
        _SECRET,
        "return hmac.compare_digest(self._octets, other._octets)",
        "return self._octets == other._octets",
        ("test_hygiene.py::test_what_authenticates_is_compared_in_constant_time",),
    ),
    Mutation(
        ("S6",),
        "a Message-Authenticator is compared octet by octet",
        "protocols/radius/message_authenticator.py",
        "return hmac.compare_digest(hmac_md5(secret.reveal(), signed), octets[at : at + 16])",
        "return hmac_md5(secret.reveal(), signed) == octets[at : at + 16]",
        ("test_hygiene.py::test_what_authenticates_is_compared_in_constant_time",),
    ),
    Mutation(
        ("S7",),
        "the authenticators of requests to a primary can be guessed",
        "backends/radius/server.py",
        "os.urandom(16)",
        "random.randbytes(16)",
        ("test_hygiene.py::test_nothing_secret_comes_from_random",),
    ),
    Mutation(
        ("S8",),
        "it goes on as root",
        "service/process.py",
        "        os.setresuid(user.uid, user.uid, user.uid)\n",
        "",
        ("service/test_process.py::test_another_user_for_good",),
    ),
    Mutation(
        ("S9",),
        "the unit may have every capability",
        "../systemd/authproxy.service",
        "CapabilityBoundingSet=\n",
        "",
        ("systemd/test_units.py::test_exposure",),
    ),
)

ELSEWHERE: tuple[Elsewhere, ...] = ()
