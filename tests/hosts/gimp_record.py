"""What a new layer tells of how it was made, inside GIMP."""

import json

from gi.repository import Gimp, Gio
from gimp_inside import call, home, picture, run, tree


def told(layer):
    return json.loads(bytes(layer.get_parasite("calotype").get_data()))


def test_a_new_layer_tells_what_made_it_with_which_parameters_and_how_good_it_is():
    image, layer = picture()
    record = told(run("denoise", image, layer, strength=40.0, noise=30.0))
    assert (record["operation"], record["result"]) == ("denoise", "Denoised")
    assert record["parameters"]["strength"] == 40
    assert record["parameters"]["noise"] == 30
    assert record["parameters"]["jpeg"] is None, "automatic"
    assert set(record["quality"]) == {"before", "after"}
    assert any("Quality" in line for line in record["report"])
    assert layer.get_parasite("calotype") is None


def test_every_layer_of_a_result_tells_it_those_of_a_new_document_too():
    image, layer = picture()
    other = layer.copy()
    other.set_name("Zoë")
    image.insert_layer(other, None, 1)
    answer = call("parts", image, layer, other=other, colours="#102030, #ffffff")
    second, first = image.get_layers()[0].get_children()
    records = [told(made) for made in (first, second, *answer.document.get_layers())]
    assert records[0] == records[1] == records[2]
    assert records[0]["parameters"] == {
        "other": "Zoë",
        "colours": ["#102030", "#ffffff"],
        "path": None,
        "look": "starry-night",
    }
    assert records[0]["report"][0] == "Colours: ['#102030', '#ffffff']"
    assert "quality" not in records[0]


def test_an_xcf_file_keeps_it():
    image, layer = picture()
    record = told(run("invert", image, layer))
    file = Gio.File.new_for_path(home("kept.xcf"))
    assert Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
    again = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    assert tree(again) == ["Inverted", "photo"]
    assert told(again.get_layers()[0]) == record
