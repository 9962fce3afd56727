"""TLS and outbound HTTP: requirements T1 to T10."""

from __future__ import annotations

from tests.mutants.mutation import Elsewhere, Item, Mutation

ITEMS = (
    Item(
        "T1", "critical", "chain and name are verified; only subjectAltName counts; never less for the cloud"
    ),
    Item("T2", "critical", "TLS that fails is tampering, never an outage"),
    Item("T3", "high", "TLS 1.2 and newer, no compression, no renegotiation, no old ciphers"),
    Item("T4", "high", "the authorities can be chosen, and an unusable file starts nothing"),
    Item("T5", "high", "certificates are reloaded; a broken one changes nothing"),
    Item("T6", "high", "SNI is sent; client certificates and authorities of one's own"),
    Item(
        "T7",
        "high",
        "through an HTTP proxy: CONNECT, verified to the end, one deadline, the environment ignored",
    ),
    Item("T8", "high", "an answer is bounded, understood, and ours, or it is none"),
)

_TLS = "backends/tls.py"
_CLOUD_TLS = "backends/cloud/tls.py"
_CLOUD_TESTS = "backends/cloud/test_failures.py"
_TLS_TESTS = "backends/test_tls.py"

MUTATIONS = (
    Mutation(
        ("T1",),
        "behind StartTLS a directory is still written to in clear",
        "backends/directory/connection.py",
        "        self.transport.write(octets)\n",
        "        self.transport.writeSomeData(octets)\n",
        ("backends/directory/test_writing.py::test_behind_starttls_nothing_goes_past_tls",),
    ),
    Mutation(
        ("T1",),
        "the cloud's certificate may be for any name",
        _CLOUD_TLS,
        "    context.hostname_checks_common_name = False\n",
        "    context.check_hostname = False\n",
        (f"{_CLOUD_TESTS}::test_wrong_certificates",),
    ),
    Mutation(
        ("T1",),
        "the cloud may go unverified when the configuration says so",
        _CLOUD_TLS,
        "    if not trust.verify or not trust.verify_hostname:\n",
        "    if trust is None:\n",
        (f"{_CLOUD_TESTS}::test_the_cloud_is_always_verified",),
    ),
    Mutation(
        ("T1",),
        "a directory's certificate may be for any name",
        _TLS,
        "        if not self._verify_hostname:\n            return\n",
        "        return\n",
        (f"{_TLS_TESTS}::test_wrong_certificates",),
    ),
    Mutation(
        ("T1",),
        "a directory's certificate may come from anybody",
        _TLS,
        '    if not ok:\n        raise Untrusted(_PROBLEMS.get(error, f"certificate verification problem {error}"))\n',
        "",
        (f"{_TLS_TESTS}::test_another_authority",),
    ),
    Mutation(
        ("T2",),
        "an error of TLS is a dead network",
        _TLS,
        "        case ssl.SSLError() | VerificationError() | CertificateError():\n            return True\n",
        "        case ssl.SSLError() | VerificationError() | CertificateError():\n            return False\n",
        (f"{_CLOUD_TESTS}::test_wrong_certificates",),
    ),
    Mutation(
        ("T3",),
        "a directory may speak any version",
        _TLS,
        "    context.set_min_proto_version(_MINIMUM[trust.minimum])\n",
        "    context.set_min_proto_version(0)\n    context.set_cipher_list(b'DEFAULT@SECLEVEL=0')\n",
        (f"{_TLS_TESTS}::test_versions",),
    ),
    Mutation(
        ("T4",),
        "authorities that can't be read are the system's",
        _TLS,
        '        raise UnusableTrust(f"{path}: holds no certificate in PEM form") from None\n',
        "        return []\n",
        (f"{_CLOUD_TESTS}::test_a_bad_authority_file_stops_the_start",),
    ),
    Mutation(
        ("T5",),
        "a file of authorities that changed is not read again",
        _TLS,
        "return tuple((status.st_mtime_ns, status.st_ino, status.st_size) for status in found)",
        "return tuple(0 for status in found)",
        (f"{_TLS_TESTS}::test_a_file_that_changed_is_read_again",),
    ),
    Mutation(
        ("T3",),
        "the admin endpoint says everything in clear, whatever it is configured to show",
        "service/admin.py",
        "    if (first := tls()) is not None:\n",
        "    if (first := None) is not None:\n",
        ("system/test_admin_tls.py::test_nothing_is_said_in_clear",),
    ),
    Mutation(
        ("T5",),
        "the admin endpoint shows the certificate that it began with",
        "service/admin.py",
        "        self._tls = self._read() or self._tls\n",
        "",
        ("system/test_admin_tls.py::test_a_new_certificate_counts_from_the_next_connection",),
    ),
    Mutation(
        ("T6",),
        "no SNI is sent",
        _TLS,
        "        if not _is_address(self._name):\n            connection.set_tlsext",
        "        if not self._name:\n            connection.set_tlsext",
        (f"{_TLS_TESTS}::test_sni_is_sent_for_names",),
    ),
    Mutation(
        ("T6",),
        "no client certificate is shown",
        _TLS,
        "    if trust.client_certificate is None:\n        return\n    key =",
        "    if trust.client_certificate is not NotImplemented:\n        return\n    key =",
        (f"{_TLS_TESTS}::test_client_certificates",),
    ),
    Mutation(
        ("T7",),
        "what a proxy says behind its reply is taken for the cloud's",
        "backends/cloud/proxy.py",
        'elif behind and found[1].startswith(b"2"):',
        'elif behind and found[1].startswith(b"9"):',
        (
            "backends/cloud/test_proxy.py::test_junk_after_the_tunnel_began",
            "backends/cloud/test_proxy.py::test_other_proxies",
        ),
    ),
    Mutation(
        ("T7",),
        "a proxy without credentials of ours is asked all the same",
        "backends/cloud/proxy.py",
        "    if proxy.username:\n",
        "    if not proxy.username:\n",
        ("backends/cloud/test_proxy.py::test_credentials",),
    ),
    Mutation(
        ("T8",),
        "another transaction's answer is as good",
        "backends/cloud/answers.py",
        "if value and name in fields and fields[name] != value:",
        "if value and name in fields and fields[name] is NotImplemented:",
        (f"{_CLOUD_TESTS}::test_an_answer_that_is_not_ours",),
    ),
    Mutation(
        ("T8",),
        "an unknown result of auth is an allow",
        "backends/cloud/answers.py",
        '            raise _protocol("unknown result of auth")\n',
        "            return FactorAllow(message, txid)\n",
        (
            f"{_CLOUD_TESTS}::test_replies",
            f"{_CLOUD_TESTS}::test_an_answer_that_is_not_ours",
            "backends/cloud/test_cloud.py::test_only_the_result_decides",
        ),
    ),
    Mutation(
        ("T8",),
        "a body may have any size",
        "backends/cloud/http1.py",
        "        if self._length > MAX_BODY:\n",
        "        if self._length < 0:\n",
        (f"{_CLOUD_TESTS}::test_a_body_without_end_is_not_read_to_its_end",),
    ),
    Mutation(
        ("T8",),
        "auth is sent again when a connection had ended",
        "backends/cloud/pool.py",
        "            if not (kept and repeatable):\n",
        "            if not kept:\n",
        ("backends/cloud/test_pool.py::test_what_must_not_be_sent_twice",),
    ),
)

ELSEWHERE: tuple[Elsewhere, ...] = ()
