"""What is exported runs in ONNX Runtime, at any size, and gives what torch gives."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from calotype import cli
from calotype.image import chroma
from calotype.models import dual, exported, manner
from calotype.models.device import Device
from calotype_wire.errors import CalotypeError

CPU = Device("cpu", torch.float32)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 144)])
@torch.no_grad()
def test_each_part_gives_what_torch_gives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], height: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    photo = torch.rand(1, 3, height, width, generator=generator)
    luma, hints = chroma.split(photo)
    trust, palette = 0.5 * torch.ones_like(luma), dual.palette_of(hints[0].flatten(1).T)[None]
    row = manner.of_catalogue("scream").row
    network = dual.shipped(CPU)
    told, painting = network.both(luma, hints, trust, palette, row)
    expected = {
        "colour": ({"luma": luma, "hints": hints, "trust": trust, "palette": palette}, [told]),
        "style": ({"photo": photo, "style": row}, [network.stylise(luma, hints, row)[0].clamp(0, 1)]),
        "both": (
            {"luma": luma, "hints": hints, "trust": trust, "palette": palette, "style": row},
            [told, painting.clamp(0, 1)],
        ),
    }
    for part, (given, wanted) in expected.items():
        cli.main(["export", part, str(tmp_path / f"{part}.onnx")])
        assert "agrees with torch" in capsys.readouterr().out
        session = onnxruntime.InferenceSession(tmp_path / f"{part}.onnx", providers=["CPUExecutionProvider"])
        made = session.run(None, {key: value.numpy() for key, value in given.items()})
        for one, other in zip(made, wanted, strict=True):
            assert np.abs(one - other.numpy()).max() < 1e-3


def test_an_export_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported, "APART_MAX", -1)
    path = tmp_path / "colour.onnx"
    path.write_text("mine")
    with pytest.raises(CalotypeError, match="differs"):
        exported.export("colour", path, dual.shipped(CPU))
    assert path.read_text() == "mine"


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(CalotypeError, match="in a folder that is there"):
        exported.export("colour", tmp_path / "none" / "colour.onnx", dual.shipped(CPU))
