"""Names and numbers: ours, and files of others that must not stop the start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.config.dictionary_folder import read_dictionary_folder
from authproxy.protocols.radius.dictionary import Definition, Dictionary, Skipped, load
from authproxy.protocols.radius.salted import STANDARD_HIDDEN, Hiding
from tests.system.parts.needs import needs

OURS = load()


def reasons(dictionary: Dictionary) -> dict[str, str]:
    return {skipped.what: skipped.reason for skipped in dictionary.skipped}


# ---- ours


def test_ours_is_read_whole() -> None:
    assert OURS.skipped == ()
    assert len(OURS) > 350


@pytest.mark.parametrize(
    ("name", "vendor", "number", "type"),
    [
        ("User-Name", None, 1, "string"),
        ("Class", None, 25, "octets"),
        ("Error-Cause", None, 101, "integer"),
        ("NAS-IPv6-Address", None, 95, "ipv6addr"),
        ("MS-CHAP2-Response", 311, 25, "octets"),
        ("Cisco-AVPair", 9, 1, "string"),
        ("ASA-Group-Policy", 3076, 25, "string"),
        ("CVPN3000-Privilege-Level", 3076, 220, "integer"),
        ("Fortinet-Group-Name", 12356, 1, "string"),
        ("PaloAlto-Client-Source-IP", 25461, 7, "string"),
        ("Juniper-Local-User-Name", 2636, 1, "string"),
        ("NS-Admin-Privilege", 3224, 1, "integer"),
        ("CP-Gaia-User-Role", 2620, 229, "string"),
        ("Citrix-User-Groups", 3845, 16, "string"),
        ("F5-LTM-User-Role", 3375, 1, "integer"),
        ("Aruba-User-Role", 14823, 1, "string"),
        ("SonicWall-User-Group", 8741, 3, "string"),
        ("Mikrotik-Group", 14988, 3, "string"),
    ],
)
def test_by_name(name: str, vendor: int | None, number: int, type: str) -> None:
    assert OURS.find(name) == OURS.find(name.upper()) == Definition(name, vendor, number, type)


def test_flags() -> None:
    assert OURS.find("Tunnel-Password") == Definition("Tunnel-Password", None, 69, "string", 2, True)
    assert OURS.find("User-Password") == Definition("User-Password", None, 2, "string", 1)
    assert OURS.find("No-Such-Attribute") is None


@pytest.mark.parametrize(
    ("vendor", "number", "name"),
    [
        (None, 31, "Calling-Station-Id"),
        (3076, 25, "ASA-Group-Policy"),
        (3076, 2, "ASA-Simultaneous-Logins"),
        (None, 253, "attribute 253"),
        (7564, 1, "Array-Networks attribute 1"),
        (10704, 1, "Barracuda attribute 1"),
        (3097, 1, "WatchGuard attribute 1"),
        (99999, 1, "vendor 99999 attribute 1"),
    ],
)
def test_names_for_people(vendor: int | None, number: int, name: str) -> None:
    assert OURS.name(vendor, number) == name


def test_what_is_hidden() -> None:
    assert OURS.hidden == {**STANDARD_HIDDEN, (14823, 44): Hiding.SALTED}


def test_reading_packets_brings_no_parser() -> None:
    """Start-up time: pyrad is for who asks for a name."""
    code = (
        "import sys, authproxy.listeners.radius.listener, authproxy.protocols.radius.request,"
        " authproxy.protocols.radius.dictionary; print(any(name.startswith('pyrad') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


# ---- further files


def test_a_further_file() -> None:
    text = """
    # local
    VENDOR  Example  32473
    BEGIN-VENDOR Example
    ATTRIBUTE Example-Role   1  string
    ATTRIBUTE Example-Key    2  octets  encrypt=2
    ATTRIBUTE Example-Tagged 3  octets  has_tag,encrypt=2   # a comment
    ATTRIBUTE Example-Plain  0x04 integer has_tag
    END-VENDOR Example
    ATTRIBUTE Old-Style 5 string Example
    """
    dictionary = load({"dictionary.local": text})
    assert dictionary.skipped == ()
    assert dictionary.find("Example-Role") == Definition("Example-Role", 32473, 1, "string")
    assert dictionary.find("Example-Plain") == Definition("Example-Plain", 32473, 4, "integer", 0, True)
    assert dictionary.find("Old-Style") == Definition("Old-Style", 32473, 5, "string")
    assert dictionary.hidden[32473, 2] is Hiding.SALTED
    assert dictionary.hidden[32473, 3] is Hiding.TAGGED_SALTED
    assert dictionary.find("User-Name") == OURS.find("User-Name")
    assert load().find("Example-Role") is None, "and nobody else has it"


@pytest.mark.parametrize("flags", ["", "encrypt=1", "encrypt=2", "encrypt=3"])
def test_theirs_is_a_name_that_both_have_but_what_the_rfcs_hide_stays_hidden(flags: str) -> None:
    dictionary = load({"x": f"ATTRIBUTE Class 225 string\nATTRIBUTE Tunnel-Password 69 string {flags}"})
    assert dictionary.find("Class") == Definition("Class", None, 225, "string")
    assert dictionary.hidden[None, 69] is Hiding.TAGGED_SALTED


def test_what_is_not_read_is_named() -> None:
    text = """
    ATTRIBUTE Strange-Type 230 whatever
    ATTRIBUTE Extended 241 extended
    ATTRIBUTE Extended-One 241.1 string
    ATTRIBUTE Internal 1100 string
    ATTRIBUTE Group 231 tlv
    ATTRIBUTE Group-One 231.1 string
    ATTRIBUTE Good 232 string
    ATTRIBUTE Bad-Number x string
    ATTRIBUTE Too Many 1 string words here
    VENDOR Wide 4846 format=2,1
    BEGIN-VENDOR Wide
    ATTRIBUTE Wide-One 1 string
    END-VENDOR Wide
    VALUE Good Yes 1
    STRUCT nobody knows
    """
    dictionary = load({"dictionary.odd": text})
    assert set(reasons(dictionary)) == {
        "dictionary.odd:2",
        "dictionary.odd:9",
        "dictionary.odd:10",
        "Extended",
        "Extended-One",
        "Internal",
        "Group-One",
        "Wide-One",
    }
    assert dictionary.find("Good") is not None
    assert dictionary.find("Wide-One") is None
    assert dictionary.name(4846, 1) == "Wide attribute 1"


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN-VENDOR Nobody\nATTRIBUTE Trap 1 string\nEND-VENDOR Nobody\nATTRIBUTE Good 232 string",
        "VENDOR Broken x\nBEGIN-VENDOR Broken\nATTRIBUTE Trap 1 string\nEND-VENDOR Broken\nATTRIBUTE Good 232 string",
        "BEGIN-TLV Something\nATTRIBUTE Trap 1 string\nEND-TLV Something\nATTRIBUTE Good 232 string",
        "BEGIN One\nBEGIN Two\nATTRIBUTE Trap 1 string\nEND Two\nEND One\nATTRIBUTE Good 232 string",
        "ATTRIBUTE Good 232 string\nBEGIN-VENDOR Cisco parent=26\nATTRIBUTE Trap 1 string",
        "ATTRIBUTE Good 232 string\nBEGIN-VENDOR Cisco\nEND-VENDOR Juniper\nATTRIBUTE Trap 1 string",
    ],
)
def test_numbers_of_a_lost_block_are_not_taken_for_the_rfcs(text: str) -> None:
    dictionary = load({"dictionary.odd": text})
    assert dictionary.find("Trap") is None
    assert dictionary.name(None, 1) == "User-Name"
    assert dictionary.find("Good") is not None
    assert dictionary.skipped


def test_includes() -> None:
    files = {
        "dictionary": "$INCLUDE dictionary.a\n$INCLUDE- absent\n$INCLUDE absent\n$INCLUDE /etc/some/dictionary.b",
        "dictionary.a": "$INCLUDE dictionary.b\nATTRIBUTE A 231 string",
        "dictionary.b": "$INCLUDE dictionary.a\n$INCLUDE dictionary\nATTRIBUTE B 232 string",
        "dictionary.c": "ATTRIBUTE C 233 string",
    }
    dictionary = load(files)
    assert [dictionary.find(name) is not None for name in "ABC"] == [True, True, False]
    assert dictionary.skipped == (Skipped("dictionary:3", "includes absent, which isn't there"),)


def test_an_include_inside_a_vendors_block() -> None:
    text = """
    VENDOR V 32473
    BEGIN-VENDOR V
    ATTRIBUTE One 1 string
    $INCLUDE- more
    ATTRIBUTE Two 2 string
    END-VENDOR V
    ATTRIBUTE Three 233 string
    """
    dictionary = load({"dictionary.v": text})
    assert dictionary.find("Two") == Definition("Two", 32473, 2, "string")
    assert dictionary.find("Three") == Definition("Three", None, 233, "string")


def test_a_long_chain_of_includes_ends() -> None:
    files = {f"dictionary.{n:04}": f"$INCLUDE dictionary.{n + 1:04}\n" for n in range(2000)}
    assert load({"dictionary": "$INCLUDE dictionary.0000", **files}).skipped


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                [
                    "ATTRIBUTE",
                    "VENDOR",
                    "BEGIN-VENDOR",
                    "END-VENDOR",
                    "$INCLUDE",
                    "x",
                    "Cisco",
                    "1",
                    "300",
                    "string",
                    "format=",
                    "format",
                    "format=1,1",
                    "encrypt=2",
                    "encrypt=",
                    "has_tag",
                    "1.2",
                    "0x",
                    "tlv",
                    "-1",
                ]
            )
            | st.text(max_size=5),
            max_size=6,
        ).map(" ".join),
        max_size=8,
    ).map("\n".join)
)
def test_no_file_stops_the_start(text: str) -> None:
    dictionary = load({"x": text})
    assert dictionary.hidden.items() >= STANDARD_HIDDEN.items()


# ---- FreeRADIUS's


def test_a_folder_of_freeradius() -> None:
    needs("radclient", "freeradius-utils")
    folder = Path("/usr/share/freeradius")
    dictionary = load(read_dictionary_folder(folder))
    assert len(dictionary) > 5000
    assert dictionary.find("WISPr-Bandwidth-Max-Down") is not None
    assert len([hiding for hiding in dictionary.hidden.values() if hiding is Hiding.SALTED]) > 20
    assert dictionary.hidden[529, 214] is Hiding.ASCEND
    assert dictionary.skipped, "extended attributes, vendors of other formats"
    assert all(skipped.what and skipped.reason for skipped in dictionary.skipped)


def test_ours_agree_with_freeradius() -> None:
    """Numbers of ours that it has too are the same; it has another number for Citrix, and names asked by nobody."""
    needs("radclient", "freeradius-utils")
    theirs = load(read_dictionary_folder(Path("/usr/share/freeradius")))
    for name in OURS.names():
        ours, other = OURS.find(name), theirs.find(name)
        assert ours is not None
        assert other is not None
        if not name.startswith("Citrix-"):
            assert (ours.key, ours.encrypt, ours.has_tag) == (other.key, other.encrypt, other.has_tag), name


def test_the_folders_files(tmp_path: Path) -> None:
    (tmp_path / "dictionary.local").write_bytes(b"# caf\xe9\nATTRIBUTE Local 230 string\n")
    (tmp_path / "dictionary.local~").write_text("ATTRIBUTE Backup 231 string")
    (tmp_path / "README").write_text("ATTRIBUTE Readme 232 string")
    (tmp_path / "dictionary.d").mkdir()
    assert list(read_dictionary_folder(tmp_path)) == ["dictionary.local"]
    assert load(read_dictionary_folder(tmp_path)).find("Local") is not None
    with pytest.raises(OSError, match="absent"):
        read_dictionary_folder(tmp_path / "absent")
