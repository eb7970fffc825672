"""Filters as actions of Krita's, which can be given shortcuts."""

import json
import zipfile
from xml.etree import ElementTree

import pytest

from calotype_setup import krita
from calotype_wire import places
from installation.homes import make_zip
from installation.installer import SOURCE


def tell_operations(*labels):
    """As the engine caches its catalogue."""
    told = [
        {"name": f"o{n}", "label": label, "help": f"Helps <{n}> & more."} for n, label in enumerate(labels)
    ]
    places.catalogue_file().parent.mkdir(parents=True, exist_ok=True)
    places.catalogue_file().write_text(json.dumps({"operations": told}), "utf-8")


def actions(text):
    found = ElementTree.fromstring(text).iter("Action")
    return {action.get("name"): {field.tag: field.text for field in action} for action in found}


def test_every_filter_is_an_action_of_krita_s_that_can_be_given_a_shortcut(home, vendor):
    profile = krita.Krita("Krita", "", home / "krita", home / "kritarc")
    file = profile.folder / "actions/calotype_krita.action"
    plain = (SOURCE / "plugin_krita/calotype_krita.action").read_bytes()
    profile.install(vendor)
    assert file.read_bytes() == plain
    tell_operations("Größe & <Rest>", 'Say "cheese"')
    assert "differs" in profile.state(vendor)[2]
    assert profile.install(vendor)
    assert not profile.install(vendor)
    found = actions(file.read_bytes())
    assert found["calotype_o0"] == {
        "icon": None,
        "text": "Größe & <Rest>",
        "toolTip": "Helps <0> & more.",
        "activationFlags": "10000",
        "activationConditions": "0",
        "shortcut": None,
        "isCheckable": "false",
    }
    assert found["calotype_o1"]["text"] == 'Say "cheese"'
    assert found == {**actions(plain), **{name: found[name] for name in ("calotype_o0", "calotype_o1")}}
    assert profile.uninstall()
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"operations": [{"name": "x"}]}', '{"operations": 3}', None])
def test_a_catalogue_that_cannot_be_read_adds_no_actions(home, vendor, text):
    places.data_dir().mkdir(parents=True)
    if text is not None:
        places.catalogue_file().write_text(text)
    plain = (SOURCE / "plugin_krita/calotype_krita.action").read_bytes()
    assert krita.content(vendor)["calotype_krita.action"] == plain


def test_the_zip_brings_the_filters_actions_along(home, tmp_path, msgpack):
    tell_operations("Restore")
    with zipfile.ZipFile(make_zip(tmp_path, msgpack)) as archive:
        assert "calotype_o0" in actions(archive.read("calotype_krita.action"))
