"""GIMP when the engine has never run, or the plug-in is damaged."""

from gi.repository import Gimp
from gimp_inside import call


def filters():
    """The filters of this GIMP."""
    words = ["plug-in-calotype-.*", *[".*"] * 7]
    return [name.removeprefix("plug-in-calotype-") for name in Gimp.get_pdb().query_procedures(*words)]


def test_the_menu_has_only_the_entry_that_sets_calotype_up():
    assert filters() == ["set-up"]
    entry = Gimp.get_pdb().lookup_procedure("plug-in-calotype-set-up")
    assert entry.get_menu_paths() == ["<Image>/Filters/Calotype"]


def test_setting_up_starts_the_engine():
    answer = call("set-up", None)
    assert answer.status == "success", answer


def test_a_damaged_plugin_still_has_a_menu_and_says_what_to_do():
    assert filters() == ["set-up"]
    answer = call("set-up", None)
    assert answer.status == "execution-error"
    assert "install.py" in answer.sentence


def test_the_engine_s_operations_are_there_and_setting_up_is_no_longer():
    assert {"restore", "identity", "invert", "parts", "slow", "fail"} <= set(filters())
    assert "echo" not in filters()
    entry = Gimp.get_pdb().lookup_procedure("plug-in-calotype-set-up")
    assert entry.get_menu_paths() == []
    invert = Gimp.get_pdb().lookup_procedure("plug-in-calotype-invert")
    assert invert.get_menu_label() == "Invert"
    assert Gimp.get_pdb().lookup_procedure("plug-in-calotype-slow").get_menu_label() == "Slow..."


def test_an_operation_that_the_engine_learned_is_there_at_the_next_start():
    assert "echo" in filters()
