"""A style as a file: what it holds comes back, and a file that is not one is refused."""

import contextlib
import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load, save

import styles
from calotype.models import dual, encoder, manner
from calotype.portfolio import stylefile
from calotype.portfolio.stylefile import LEVELS
from calotype_wire.errors import CalotypeError


def refused(data: bytes) -> str:
    """The sentence."""
    with pytest.raises(CalotypeError) as caught:
        stylefile.parse(data)
    assert caught.value.code == "BAD_STYLE"
    return caught.value.sentence


def changed(
    level: str = "standard", metadata: dict[str, str] | None = None, **tensors: torch.Tensor
) -> bytes:
    """A good file but for these."""
    data = styles.file(level)
    card = {"card": stylefile.parse(data).card.to_json()}
    return save({**load(data), **tensors}, card if metadata is None else metadata)


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_in_a_file_comes_back(level: str) -> None:
    made, network = styles.manner(level), dual.shipped(styles.CPU)
    file = stylefile.parse(styles.file(level))
    back = manner.Manner.of_file(file, network)
    assert not back.outdated
    assert set(back.changes) == set(made.changes)
    assert torch.allclose(back.row, made.row, atol=2e-3)
    for name, value in made.changes.items():
        assert torch.allclose(back.changes[name], value, atol=2e-3)
    for (mean_a, around_a), (mean_b, around_b) in zip(made.moments, back.moments, strict=True):
        assert torch.allclose(mean_a, mean_b, rtol=2e-3, atol=1e-3)
        assert torch.equal(around_b, around_b.mT)
        assert (around_a - around_b).norm() < 2e-3 * around_a.norm()
    assert (file.card.sources, file.card.level, file.card.steps) == (("cells",), level, 7)


def test_a_style_of_a_minutes_training_takes_110_kilobytes_at_most() -> None:
    assert len(styles.file("instant")) < len(styles.file("standard")) <= 110_000


def test_the_format_fits_the_network() -> None:
    decoder = {f"decoder.{name}": shape for name, shape in stylefile.decoder_shapes().items()}
    shallow = {f"shallow.{name}": shape for name, shape in stylefile.shallow_shapes().items()}
    assert decoder | shallow == styles.shapes_of_the_network()
    assert stylefile.ENCODER == encoder.WIDTHS
    assert stylefile.shapes("instant")["row"] == (dual.ROW,)


def test_a_style_for_another_network_keeps_what_is_known_of_its_paintings() -> None:
    file = stylefile.parse(styles.file("standard", network="0123456789abcdef"))
    back = manner.Manner.of_file(file, dual.shipped(styles.CPU))
    assert back.outdated
    assert not back.changes
    assert torch.allclose(back.row, styles.lesson().manner.row, atol=0.02), "foretold again from the same"


@pytest.mark.parametrize(
    ("tensors", "word"),
    [
        ({"row": torch.zeros(10, dtype=torch.float16)}, "shape"),
        ({"row": torch.zeros(dual.ROW)}, "kind"),
        ({"row": torch.full((dual.ROW,), float("nan"), dtype=torch.float16)}, "numbers"),
        ({"mean0": torch.full((24,), float("inf"), dtype=torch.float16)}, "numbers"),
        ({"mean0": torch.full((24,), float("-inf"), dtype=torch.float16)}, "numbers"),
        ({"one more": torch.zeros(1, dtype=torch.float16)}, "one more"),
        ({"decoder.tail.bias": torch.zeros(12, dtype=torch.float16)}, "decoder.tail.bias"),
        ({"thumbnail": torch.zeros(9, dtype=torch.uint8)}, "JPEG"),
        ({"thumbnail": torch.zeros(9, dtype=torch.float16)}, "thumbnail"),
        ({"thumbnail": torch.zeros(40_000, dtype=torch.uint8)}, "thumbnail"),
    ],
)
def test_a_tensor_that_does_not_belong_there_is_named(tensors: dict[str, torch.Tensor], word: str) -> None:
    assert word in refused(changed(**tensors))


@pytest.mark.parametrize(("side_px", "cut"), [(4000, 0), (64, 200)])
def test_a_thumbnail_that_costs_much_to_show_or_is_torn_is_refused(side_px: int, cut: int) -> None:
    kept = io.BytesIO()
    Image.new("RGB", (side_px, 64)).save(kept, "JPEG")
    data = kept.getvalue()[: len(kept.getvalue()) - cut]
    thumbnail = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    assert len(thumbnail) < stylefile.THUMBNAIL_BYTES_MAX
    assert "thumbnail" in refused(changed(thumbnail=thumbnail))


def test_a_file_that_lacks_a_tensor_is_refused() -> None:
    data = styles.file("standard")
    kept = load(data)
    del kept["adapter.grow.up"]
    assert "adapter.grow.up" in refused(save(kept, {"card": stylefile.parse(data).card.to_json()}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("level", "huge"),
        ("level", 3),
        ("steps", -1),
        ("steps", 1.5),
        ("steps", True),
        ("seconds", float("nan")),
        ("seconds", 10**400),
        ("style", -1),
        ("content", "0.4"),
        ("sources", [3]),
        ("sources", None),
        ("made", 7),
        ("network", None),
    ],
)
def test_a_card_with_a_wrong_field_is_refused(key: str, value: object) -> None:
    card = json.loads(stylefile.parse(styles.file()).card.to_json())
    if (key, value) == ("content", "0.4"):
        card.pop("content")
    else:
        card[key] = value
    assert "card" in refused(changed(metadata={"card": json.dumps(card)}))


def test_a_card_of_a_newer_calotype_says_so() -> None:
    card = json.loads(stylefile.parse(styles.file()).card.to_json())
    assert "Update" in refused(changed(metadata={"card": json.dumps({**card, "format": 2})}))


def test_texts_of_a_card_cannot_move_a_terminals_cursor() -> None:
    card = json.loads(stylefile.parse(styles.file()).card.to_json())
    card["sources"] = ["\x1b[2J\nred" + "x" * 500] * 50
    read = stylefile.parse(changed(metadata={"card": json.dumps(card)})).card
    assert len(read.sources) == 20
    assert all(text.isprintable() and len(text) <= 80 for text in read.sources)


def test_no_card_no_metadata_no_file() -> None:
    data = styles.file()
    for broken in (b"", b"\x80\x04K\x01.", data[:-1], data + b"\0", save(load(data)), b"PK\x03\x04" + data):
        refused(broken)
    assert "MiB" in refused(bytes(stylefile.BYTES_MAX + 1))
    deep = ("[" * 100_000).encode()
    refused(struct.pack("<Q", len(deep)) + deep)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 255))
def test_a_file_with_any_byte_changed_is_refused_or_finite(place: int, flip: int) -> None:
    data = bytearray(styles.file())
    data[place % len(data)] ^= flip
    with contextlib.suppress(CalotypeError):
        file = stylefile.parse(bytes(data))
        kept = manner.Manner.of_file(file, dual.shipped(styles.CPU))
        assert bool(torch.isfinite(kept.row).all())
        assert all(bool(torch.isfinite(value).all()) for value in kept.changes.values())


def test_every_value_that_is_no_number_is_found() -> None:
    halves = np.arange(65536, dtype=np.uint16)
    odd = {int(bits) for bits in halves[~np.isfinite(halves.view(np.float16))]}
    found = {bits for bits in range(65536) if stylefile._not_finite(struct.pack("<H", bits))}
    assert found == odd


def test_links_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good.calostyle"
    good.write_bytes(styles.file())
    (tmp_path / "link.calostyle").symlink_to(good)
    for path in (tmp_path / "link.calostyle", tmp_path, tmp_path / "none.calostyle"):
        with pytest.raises(CalotypeError) as caught:
            stylefile.read(path)
        assert caught.value.code == "BAD_FILE"
    assert stylefile.read(good).card.level == "standard"
