"""Krita's settings: one line comes and goes, every other byte stays."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype_setup import kritarc
from installation.homes import SETTINGS


def test_one_line_is_added_and_nothing_else_changes():
    for text in (SETTINGS, SETTINGS.replace(b"\n", b"\r\n")):
        end = b"\r\n" if b"\r\n" in text else b"\n"
        assert kritarc.enable(text).replace(b"enable_calotype_krita=true" + end, b"") == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"[python]\nenable_calotype_krita=true\n"),
        (b"a=1\r\n", b"a=1\r\n\r\n[python]\r\nenable_calotype_krita=true\r\n"),
        (b"a=1", b"a=1\n\n[python]\nenable_calotype_krita=true"),
        (b"[python]\nenable_calotype_krita=false\n", b"[python]\nenable_calotype_krita=true\n"),
        (b"[python]\r\n enable_calotype_krita = 0 \r\n", b"[python]\r\n enable_calotype_krita = true \r\n"),
        (b"\xef\xbb\xbf[python]\nb=1\n", b"\xef\xbb\xbf[python]\nenable_calotype_krita=true\nb=1\n"),
        (
            b"[python]\nenable_calotype_krita=true\n[a]\n[python]\nenable_calotype_krita=off",
            b"[python]\nenable_calotype_krita=true\n[a]\n[python]\nenable_calotype_krita=true",
        ),
    ],
)
def test_the_plugin_is_switched_on(before, after):
    assert not kritarc.enabled(before)
    assert kritarc.enable(before) == after
    assert kritarc.enabled(after)


@pytest.mark.parametrize(
    "other",
    [
        b"enable_calotype_krita=true\n",
        b"[tools]\nenable_calotype_krita=true\n",
        b"[python][more]\nenable_calotype_krita=true\n",
        b"[python]\n#enable_calotype_krita=true\nenable_calotype_krita_2=true\n",
    ],
)
def test_the_same_words_elsewhere_are_not_ours(other):
    assert not kritarc.enabled(other)
    assert kritarc.disable(other) == other
    assert kritarc.disable(kritarc.enable(other)) == other


def test_the_last_of_several_entries_holds():
    twice = b"[python]\nenable_calotype_krita=%s\n[a]\nb=1\n[python]\nenable_calotype_krita=%s\n"
    assert kritarc.enabled(twice % (b"false", b"true"))
    assert not kritarc.enabled(twice % (b"true", b"False"))


def test_nothing_is_left_after_krita_has_sorted_its_groups():
    sorted_by_krita = b"[a]\nb=1\n\n[python]\nenable_calotype_krita=true\n\n[tools]\nc=2\n"
    assert kritarc.disable(sorted_by_krita) == b"[a]\nb=1\n\n[tools]\nc=2\n"


REMEMBERED = b"""[MainWindow][DockWidget calotype]
DockArea=2
Locked=false

[calotype]
restore={"strength": 100.0}

"""


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_what_krita_remembered_for_us_goes_wherever_it_stands_and_nothing_else(end):
    for before, after in (
        (b"", b"[a]\nb=\xff\n"),
        (b"a=1\n\n", b"[python]\nb=1\n"),
        (b"\xef\xbb\xbf[a]\n\n", b"[b]"),
    ):
        text = (before + REMEMBERED + after).replace(b"\n", end)
        assert kritarc.forget(text) == (before + after).replace(b"\n", end)
    text = (SETTINGS + b"\n" + REMEMBERED[:-1]).replace(b"\n", end)
    assert kritarc.forget(text) == SETTINGS.replace(b"\n", end)
    assert kritarc.forget(REMEMBERED[:-2]) == b""


@pytest.mark.parametrize(
    "others",
    [
        b"calotype=1\n",
        b"[calotype2]\na=1\n",
        b"[a][calotype]\na=1\n",
        b"[calotype][a]\na=1\n",
        b"[MainWindow]\nState=[calotype]\n\n[MainWindow][DockWidget calotype2]\nb=1\n",
        b"[DockWidget calotype]\na=1\n\n\n",
    ],
)
def test_groups_with_similar_names_stay(others):
    assert kritarc.forget(others) == others
    assert kritarc.forget(others + b"\n" + REMEMBERED[:-1]) == others


def lines_of_settings():
    odd = st.binary(max_size=12).map(lambda data: data.replace(b"\n", b""))
    usual = [
        b"",
        b"  ",
        b"[python]",
        b"[python]x=1",
        b"[a]",
        b"[python][b]",
        b"[$i]",
        b"x=1",
        b"#y",
        b"enable_z=1",
    ]
    return st.lists(st.one_of(st.sampled_from(usual), odd), max_size=12)


@given(
    lines_of_settings(),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_whatever_the_settings_hold_they_come_back_byte_for_byte(lines, end, ended, mark):
    text = mark + end.join(lines) + (end if ended else b"")
    there = kritarc.enable(text)
    assert kritarc.enabled(there)
    assert kritarc.enable(there) == there
    back = kritarc.disable(there)
    assert not kritarc.enabled(back)
    assert kritarc.forget(back) == back
    if not re.search(
        rb"\[python\](\[\$i\])?\s*(\n\s*(\[|$)|$)", text
    ):  # an empty group goes as if it were ours
        assert back == text


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        (b"ResourceDirectory=/srv/Kr\xc3\xa4uter", "/srv/Kräuter"),
        (b"ResourceDirectory=/srv/a\\sb\\\\c\\x41", "/srv/a b\\cA"),
        (b"ResourceDirectory[$e]=$HOME/krita", "{home}/krita"),
        (b"ResourceDirectory=C:/krita", None),
        (b"[python]\nResourceDirectory=/srv/krita", None),
        (b"", None),
    ],
)
def test_a_resource_folder_that_the_user_has_chosen_is_found(tmp_path, monkeypatch, line, folder):
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = Path(folder.format(home=tmp_path)) if folder else None
    assert kritarc.resource_folder(b"a=1\n" + line + b"\n\n[b]\n") == expected
