"""Models of others: kept with their checksums, run like our own."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from calotype import catalogue
from calotype.community import cards, licences, probe, running, shelf
from calotype.models.compact import Compact
from calotype_wire.client import Request
from calotype_wire.errors import CalotypeError
from community.strangers import (
    CPU,
    FREE,
    added,
    expected,
    kept,
    model,
    network,
    picture,
    saved,
    sharpening,
    step,
)
from conftest import fail, layer, noise, run

# ---- what works


@pytest.mark.parametrize(
    ("channels", "scale", "sides", "half"),
    [
        (3, 1, FREE, False),
        (3, 2, FREE, False),
        (3, 4, FREE, False),
        (1, 1, FREE, False),
        (3, 2, (32, 48), False),
        (3, 1, FREE, True),
    ],
)
def test_a_model_of_onnx_is_added_and_gives_what_torch_gives(
    channels: int, scale: int, sides: tuple, half: bool, tmp_path: Path
) -> None:
    card = added(saved(network(channels, scale, sides, half), tmp_path), name="Été 1")
    assert (card.kind, card.scale) == ("restorer" if scale == 1 else "upscaler", scale)
    assert (card.channels, card.values) == (channels, "0..1")
    assert (card.side_px, card.dtype) == (
        sides if sides != FREE else (0, 0),
        "float16" if half else "float32",
    )
    assert cards.installed() == cards.installed(card.kind) == [card]

    loaded = running.load("Été 1", CPU)
    assert (loaded.scale, loaded.multiple) == (scale, 1)
    given = picture()
    result = loaded(given)
    wanted = expected(given, scale)
    if channels == 1:
        wanted = torch.cat([expected(given[:, [c]]) for c in range(3)], dim=1)
    assert result.dtype == torch.float32
    tolerance = 2e-3 if half else 0.02 if sides != FREE else 1e-5  # a window sees no pixels beyond its edge
    assert (result - wanted).abs().max() < tolerance


def test_a_grey_upscaler_sharpens_the_luminance_and_keeps_grey_neutral(tmp_path: Path) -> None:
    added(saved(network(1, 2), tmp_path))
    loaded = running.load("model", CPU)
    grey = picture()[:, :1].expand(-1, 3, -1, -1)
    result = loaded(grey)
    assert torch.allclose(result[:, 0:1], expected(grey[:, :1], 2), atol=1e-5)
    assert torch.equal(result[:, 0], result[:, 2])

    colours = loaded(picture())
    weights = torch.tensor(running.LUMINANCE)[:, None, None]
    luminance = expected((picture() * weights).sum(1, keepdim=True), 2)
    assert torch.allclose((colours * weights).sum(1, keepdim=True), luminance, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "nodes", "wanted"),
    [
        (
            "0..255",
            [
                step("Conv", "x w", "h", pads=[1, 1, 1, 1]),
                step("Round", "h", "r"),
                step("Clip", "r zero top", "y"),
            ],
            lambda given: expected(given * 255).round().clamp(0, 255) / 255,
        ),
        (
            "-1..1",
            [step("Conv", "x w", "h", pads=[1, 1, 1, 1]), step("Tanh", "h", "y")],
            lambda given: (expected(given * 2 - 1).tanh() + 1) / 2,
        ),
    ],
)
def test_a_model_is_given_the_range_that_it_works_in(
    values: str, nodes: list, wanted: Callable, tmp_path: Path
) -> None:
    weights = {"w": sharpening(3), "zero": np.float32(0), "top": np.float32(255)}
    made = model(nodes, {name: np.asarray(value) for name, value in weights.items() if name in str(nodes)})
    assert added(saved(made, tmp_path)).values == values
    assert torch.allclose(running.load("model", CPU)(picture()), wanted(picture()), atol=1e-4)


def test_a_model_says_which_multiple_its_sides_must_be(tmp_path: Path) -> None:
    nodes = [
        step("SpaceToDepth", "x", "s", blocksize=8),
        step("DepthToSpace", "s", "y", blocksize=8),
    ]
    assert added(saved(model(nodes, channels="c"), tmp_path)).multiple == 8
    assert torch.equal(running.load("model", CPU)(picture(16, 24)), picture(16, 24))


def test_the_halo_is_as_wide_as_the_model_looks(tmp_path: Path) -> None:
    weight = np.full((3, 1, 1, 61), 1 / 61, np.float32)
    blur = model([step("Conv", "x w", "y", pads=[0, 30, 0, 30], group=3)], {"w": weight})
    card = added(saved(blur, tmp_path))
    assert 28 <= card.halo_px <= 30


def test_windows_of_a_fixed_size_cover_pictures_of_any_size(tmp_path: Path) -> None:
    added(saved(network(3, 2, (32, 32)), tmp_path))
    loaded = running.load("model", CPU)
    for height, width in ((7, 200), (32, 32), (33, 31), (100, 64)):
        flat = torch.full((1, 3, height, width), 0.5)
        result = loaded(flat)
        assert result.shape == (1, 3, 2 * height, 2 * width)
        assert (result - expected(flat, 2)).abs().max() < 0.1


def test_a_compact_network_runs_identically_from_any_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    compact = Compact(8, 3, 3)
    state = compact.state_dict()
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors", {"license": "CC0-1.0"})
    torch.save(state, tmp_path / "plain.pth")
    trained = {"params_ema": {f"module.{key}": value for key, value in state.items()}, "params": {}}
    torch.save(trained, tmp_path / "wrapped.pth")

    card = added(tmp_path / "weights.safetensors")
    for name in ("plain.pth", "wrapped.pth"):
        assert probe.examine((tmp_path / name).read_bytes())[2] == card.file.read_bytes()
    assert (card.kind, card.scale, card.format) == ("upscaler", 3, "compact")
    assert (card.file.suffix, card.licence) == (".safetensors", "CC0-1.0")
    loaded = running.load(card.name, CPU)
    with torch.inference_mode():
        assert torch.equal(loaded(picture()), CPU.place(compact)(CPU.send(picture())))
    assert (loaded.multiple, loaded.halo_px) == (1, 5)


def test_the_licence_is_found_or_said_to_be_unknown(tmp_path: Path) -> None:
    path = saved(network(License="MIT\n\x1b[31m red"), tmp_path)
    assert shelf.examine(path).card.licence == "MIT ?[31m red"
    assert licences.licence(None, {"author": "me"}, path) == "unknown"
    (tmp_path / "LICENSE.txt").write_text("\nCC BY-NC 4.0\n\nLong text")
    assert licences.licence(None, {}, path) == "CC BY-NC 4.0 (from LICENSE.txt beside it)"
    assert licences.licence("GPL-3.0, bought", {"license": "MIT"}, path) == "GPL-3.0, bought"


def test_the_catalogue_is_made_anew_after_a_model_came_or_went(tmp_path: Path) -> None:
    before = catalogue.fingerprint()
    added(saved(network(), tmp_path))
    between = catalogue.fingerprint()
    shelf.remove("model")
    assert before == catalogue.fingerprint() != between


def test_listing_the_models_imports_nothing_heavy() -> None:
    code = "import sys; from calotype.community import cards, command; cards.installed(); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "numpy", "onnx", "onnxruntime", "safetensors"} & set(told.split())


def test_the_command_adds_lists_and_removes(tmp_path: Path) -> None:
    def calotype(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "calotype", "models", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    path = str(saved(network(3, 2), tmp_path, "My net (v2)!.onnx"))
    told = calotype("add", path)
    assert told.returncode == 0, told.stderr
    assert "My net -v2: upscaler 2x, colour" in told.stdout
    assert "Licence: unknown" in told.stdout
    (listed,) = json.loads(calotype("list", "--json").stdout)
    assert (listed["name"], listed["label"], listed["scale"]) == ("My net -v2", "My net -v2 (2x)", 2)
    twice = calotype("add", path, "--json")
    assert twice.returncode == 1
    assert json.loads(twice.stdout)["error"] == "BAD_PARAMETER"
    assert "--name" in twice.stderr
    assert calotype("remove", "my NET -v2").returncode == 0
    assert "no models" in calotype("list").stdout
    assert calotype("remove", "../catalogue").returncode == 1


# ---- what changes on the disk


def test_a_name_is_taken_once_whatever_its_case(tmp_path: Path) -> None:
    added(saved(network(), tmp_path), name="Été")
    with pytest.raises(CalotypeError, match="--name"):
        shelf.examine(tmp_path / "model.onnx", name="e\u0301tÉ".replace("É", "é"))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../up",
        "a/b",
        "a\\b",
        ".hidden",
        "a\n",
        "a\x1b[31m",
        "CON",
        "lpt1.x",
        "x" * 61,
        "automatic",
        "a:b",
    ],
)
def test_a_name_that_cannot_be_a_file_everywhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CalotypeError) as failure:
        shelf.examine(saved(network(), tmp_path), name=name)
    assert failure.value.code == "BAD_PARAMETER"
    assert failure.value.sentence.isprintable()


def test_a_flipped_bit_is_reported_and_never_loaded(tmp_path: Path) -> None:
    card = added(saved(network(), tmp_path))
    data = bytearray(card.file.read_bytes())
    for position in range(0, len(data), 37):
        data[position] ^= 16
        card.file.write_bytes(data)
        with pytest.raises(CalotypeError, match="is not what it was") as failure:
            running.load("model", CPU)
        assert failure.value.code == "BAD_WEIGHTS"
        data[position] ^= 16
    card.file.write_bytes(data)
    running.load("model", CPU)


@pytest.mark.parametrize(
    "change",
    [
        lambda wire: "no JSON",
        lambda wire: json.dumps(wire | {"name": "other"}),
        lambda wire: json.dumps(wire | {"name": "../model"}),
        lambda wire: json.dumps(wire | {"format": "pickle"}),
        lambda wire: json.dumps(wire | {"scale": True}),
        lambda wire: json.dumps(wire | {"side_px": [1, -1]}),
        lambda wire: json.dumps({key: value for key, value in wire.items() if key != "sha256"}),
        lambda wire: "[" * 100_000,
    ],
)
def test_a_card_that_was_tampered_with_is_left_out_and_can_be_removed(change: Callable, home: Path) -> None:
    folder = home / "models"
    folder.mkdir(parents=True)
    fields = {
        "kind": "restorer",
        "scale": 1,
        "channels": 3,
        "multiple": 1,
        "halo_px": 16,
        "bytes_a_pixel": 90,
    }
    fields |= {"side_px": [0, 0], "values": "0..1", "dtype": "float32", "format": "onnx", "licence": "MIT"}
    fields |= {"source": "x.onnx", "sha256": "0", "added": "2026-01-01", "name": "model"}
    (folder / "model.json").write_text(json.dumps(fields))
    assert len(cards.installed()) == 1
    (folder / "model.json").write_text(change(fields))
    assert cards.installed() == []
    assert cards.damaged() == ["model"]
    with pytest.raises(CalotypeError, match="calotype models remove"):
        cards.find("model")
    shelf.remove("model")
    assert cards.damaged() == []


def test_a_removed_model_is_gone(tmp_path: Path) -> None:
    card = added(saved(network(), tmp_path))
    running.load("model", CPU)
    shelf.remove("MODEL")
    assert kept(cards.folder()) == set()
    assert not card.file.exists()
    for use in (lambda: running.load("model", CPU), lambda: shelf.remove("model")):
        with pytest.raises(CalotypeError, match="You have added: none") as failure:
            use()
        assert failure.value.code == "NO_MODEL"


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    candidate = shelf.examine(saved(network(), tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for most in (len(candidate.data) // 2, len(candidate.card.to_json()) // 2):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
        try:
            with pytest.raises(CalotypeError) as failure:
                shelf.add(candidate)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert failure.value.code == "NOT_WRITTEN"
        assert kept(cards.folder()) == set()


def test_a_model_added_while_the_engine_runs_can_be_chosen_at_once(start: Callable, tmp_path: Path) -> None:
    client = start().client()
    pixels = noise(24, 32)
    assert "must be one of" in fail(client, Request("upscale", [layer(pixels)], {"model": "Sharp"})).sentence
    added(saved(network(scale=3), tmp_path), name="Sharp")
    added(saved(network(), tmp_path), name="Clean")
    photo = torch.from_numpy(pixels / 255).float().permute(2, 0, 1)[None]
    for operation, name, scale in (("upscale", "Sharp", 3), ("denoise", "Clean", 1)):
        result = run(client, Request(operation, [layer(pixels)], {"model": name})).layers[0]
        made = np.frombuffer(result.pixels, np.uint8).reshape(24 * scale, 32 * scale, 3)
        wanted = expected(photo, scale).clamp(0, 1)[0].permute(1, 2, 0).numpy() * 255
        assert np.abs(made - wanted).max() < 1, name
    shelf.remove("Sharp")
    assert "must be one of" in fail(client, Request("upscale", [layer(pixels)], {"model": "Sharp"})).sentence
    client.close()
