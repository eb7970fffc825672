"""Models of others, examined as strangers: whatever is in the file, nothing runs and nothing is kept."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from onnx import TensorProto, helper, numpy_helper

from calotype.community import cards, probe, shelf
from calotype.models.compact import Compact
from calotype_wire.errors import CalotypeError
from community.strangers import model, network, saved, step


def refusal(data: bytes) -> str:
    """What the process that examines a model says of it."""
    with pytest.raises(CalotypeError) as failure:
        probe.examine(data)
    assert failure.value.code == "BAD_MODEL"
    return failure.value.sentence


def altered(change: Callable[[onnx.ModelProto], object]) -> bytes:
    made = network()
    change(made)
    return made.SerializeToString()


def outside(made: onnx.ModelProto) -> None:
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../../../etc/passwd"), ("length", "108")):
        tensor.external_data.add(key=key, value=value)


def outside_of_a_branch(made: onnx.ModelProto) -> None:
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.zeros(2, np.float32)))
    constant.attribute[0].t.external_data.add(key="location", value="/etc/passwd")
    inner = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("c", 1, [2])])
    made.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner))


def test_a_file_that_is_no_model_is_refused() -> None:
    whole = network().SerializeToString()
    garbage = np.random.default_rng(0)
    for data in (
        b"",
        b"{}",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"PK\x03\x04" + bytes(500),
        *(garbage.bytes(size) for size in (1, 100, 5000)),
        *(whole[:size] for size in range(1, len(whole), 97)),
        b"\x3a" * 5000,  # a graph in a graph in a graph
        whole.replace(b"Conv", b"C\xff\xffv"),
    ):
        assert refusal(data).endswith((".", "!"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (outside, "keeps its weights in another file"),
        (outside_of_a_branch, "keeps its weights in another file"),
        (lambda m: setattr(m.graph.node[0], "domain", "evil.ops"), "'Conv' of 'evil.ops'"),
        (lambda m: setattr(m.graph.node[0], "domain", "com.microsoft"), "outside of standard ONNX"),
        (lambda m: setattr(m.graph.node[0], "op_type", "Explode"), "breaks a rule of ONNX"),
        (lambda m: m.functions.add(name="f", domain="own"), "functions"),
        (lambda m: m.graph.initializer[0].dims.append(1 << 40), "not as many as their shape says"),
        (lambda m: m.graph.initializer[0].dims.insert(0, -1), "of a kind"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse"),
        (lambda m: m.graph.input.append(helper.make_tensor_value_info("sigma", 1, [1])), "'sigma'"),
        (lambda m: m.graph.output.append(helper.make_tensor_value_info("h", 1, [None] * 4)), "2 things"),
        (lambda m: m.graph.ClearField("node"), "no graph"),
    ],
)
def test_a_graph_that_reaches_beyond_itself_or_lies_is_refused(change: Callable, words: str) -> None:
    assert words in refusal(altered(change))


CLASSIFIER = [step("GlobalAveragePool", "x", "p"), step("Flatten", "p", "y")]
NEGATIVE_ROOT = [step("Exp", "x", "e"), step("Neg", "e", "n"), step("Sqrt", "n", "y")]
EIGHTFOLD = [step("Concat", "x " * 64, "c", axis=1), step("DepthToSpace", "c", "y", blocksize=8)]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (model(CLASSIFIER, axes=2), "it may classify"),
        (model([step("ReduceMean", "x", "y", axes=[1])]), "no picture of the same channels"),
        (
            model([step("MaxPool", "x", "y", kernel_shape=[2, 2], strides=[2, 2])]),
            "keep the size or multiply",
        ),
        (model([step("DepthToSpace", "x", "y", blocksize=1)], channels=4), "4 channels"),
        (model([step("Identity", "x", "y")], kind=TensorProto.INT64), "text or sound"),
        (model([step("Identity", "x", "y")], channels=12), "12 channels"),
        (model([step("Identity", "x", "y")], channels=224, sides=(224, 3)), "channels last"),
        (model([step("Identity", "x", "y")], sides=(9000, 9000)), "9000 x 9000"),
        (model([step("Mul", "x zero", "y")], {"zero": np.zeros(1, np.float32)}), "the same whatever"),
        (model(NEGATIVE_ROOT), "no number"),
        (model(EIGHTFOLD), "keep the size or multiply"),
        (
            model([step("Add", "x w", "y")], {"w": np.ones((1, 3, 50, 50), np.float32)}),
            "could not be run",
        ),
    ],
)
def test_a_model_that_makes_no_picture_of_a_picture_is_refused(made: onnx.ModelProto, words: str) -> None:
    assert words in refusal(made.SerializeToString())


def test_a_model_that_eats_memory_or_time_is_stopped(tmp_path: Path) -> None:
    shape = np.array([1 << 20, 1 << 20], np.int64)
    bomb = model(
        [
            step("ConstantOfShape", "shape", "huge"),
            step("ReduceSum", "huge", "sum", keepdims=0),
            step("Add", "x sum", "y"),
        ],
        {"shape": shape},
    )
    with pytest.raises(CalotypeError, match="needs more memory"):
        shelf.examine(saved(bomb, tmp_path))

    body = helper.make_graph(
        [step("Identity", "go", "again"), step("Identity", "a", "b")],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.FLOAT, [None] * 4),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, [None] * 4),
        ],
    )
    forever = model(
        [step("Loop", "n yes x", "y", body=body)], {"n": np.array(1 << 60), "yes": np.array(True)}
    )
    with pytest.raises(CalotypeError, match="more than 4 seconds"):
        shelf.examine(saved(forever, tmp_path), timeout_s=4)
    assert not cards.folder().exists()


class Gadget:
    """A pickle that makes a file named canary."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.folder / "canary",))


def torch_file(program: bytes | None = None, compression: int = zipfile.ZIP_STORED, **more: bytes) -> bytes:
    """A .pth of a Compact, changed."""
    buffer = io.BytesIO()
    torch.save(Compact(4, 1, 2).state_dict(), buffer)
    changed = io.BytesIO()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(changed, "w", compression) as target:
        for name in source.namelist():
            target.writestr(name, program if program and name.endswith("data.pkl") else source.read(name))
        for name, data in more.items():
            target.writestr(name, data)
    return changed.getvalue()


def program_of(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("archive/data.pkl")


@pytest.mark.parametrize("protocol", range(6))
def test_no_pickle_runs(protocol: int, tmp_path: Path) -> None:
    gadget = pickle.dumps({"body.0.weight": Gadget(tmp_path)}, protocol)
    sentence = refusal(torch_file(gadget))
    assert "program" in sentence
    if protocol >= 2:
        assert "bare pickle" in refusal(gadget)
    for name in ("model.pth", "model.safetensors", "model.onnx"):
        (tmp_path / name).write_bytes(torch_file(gadget))
    with pytest.raises(CalotypeError, match="Nothing of it was run"):
        shelf.examine(tmp_path / ["model.pth", "model.safetensors", "model.onnx"][protocol % 3])
    assert not cards.folder().exists()


def test_an_archive_that_bombs_lies_or_climbs_is_refused() -> None:
    honest = torch_file()
    probe.examine(honest)
    program = program_of(honest)
    bomb = torch_file(compression=zipfile.ZIP_DEFLATED, **{"archive/data/99": bytes(50_000_000)})
    assert len(bomb) < 100_000
    assert "compressed" in refusal(bomb)
    for name in ("../../evil", "/evil", "archive/../../evil", "C:\\evil", "archive\\..\\evil"):
        assert "outside of its own folder" in refusal(torch_file(**{name: b""}))
    assert "TorchScript" in refusal(torch_file(**{"archive/code/x.py": b"", "archive/constants.pkl": b""}))
    assert "not one that PyTorch" in refusal(torch_file(**{"other/data.pkl": program}))
    legacy = io.BytesIO()
    torch.save(Compact(4, 1, 2).state_dict(), legacy, _use_new_zipfile_serialization=False)
    assert "bare pickle" in refusal(legacy.getvalue())
    lie = program.replace(b"K\x6c", b"J" + struct.pack("<i", 1 << 30))  # 108 numbers of the first weight
    assert lie != program
    assert "damaged" in refusal(torch_file(lie))
    for size in range(1, len(program), 61):
        refusal(torch_file(program[:size] or b"x"))
    for size in range(4, len(honest), 211):
        refusal(honest[:size])
        refusal(honest[:100] + honest[100 + size :])


def test_an_archive_whose_members_overlap_is_refused() -> None:
    """Fifield's bomb: many entries of the directory lead to the same bytes."""
    data = bytearray(torch_file(**{"archive/data/77": bytes(200_000)}))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start = archive.start_dir
        large = archive.getinfo("archive/data/77")
        others = [archive.getinfo(f"archive/data/{number}") for number in range(3)]
    central = data[start:]
    for other in others:
        place = central.index(other.filename.encode()) - 46
        central[place + 20 : place + 28] = struct.pack("<II", large.file_size, large.file_size)
        central[place + 42 : place + 46] = struct.pack("<I", large.header_offset)
    data[start:] = central
    assert "claim more bytes" in refusal(bytes(data))


def tensors_file(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(shape: list, start: int, stop: int, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def test_a_header_of_safetensors_that_lies_is_refused() -> None:
    for data in (
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 100) + b"{}",
        tensors_file(b"{" * 5000),
        tensors_file({"a": entry([1 << 40], 0, 4)}, bytes(4)),
        tensors_file({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, bytes(4)),
        tensors_file({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12)),
        tensors_file({"a": entry([1], 0, 4)}, bytes(400)),
        tensors_file({"a": entry([1], 0, 4)}, bytes(3)),
        tensors_file({"a": entry([-1], 0, -4)}, bytes(4)),
        tensors_file({"a": entry([True], 0, 4)}, bytes(4)),
        tensors_file({"a": entry([1], 0, 4, "F4096")}, bytes(4)),
        tensors_file({"a": entry([0] * 9, 0, 0)}),
        tensors_file({"a": [], "__metadata__": 3}),
        tensors_file({"__metadata__": {"a": 3}}),
        tensors_file({f"{number}": entry([0], 0, 0) for number in range(20_001)}),
    ):
        assert "damaged" in refusal(data)


def test_weights_that_are_no_numbers_are_refused() -> None:
    state = Compact(4, 1, 2).state_dict()
    state["body.2.weight"][0, 0, 0, 0] = float("nan")
    assert "'body.2.weight'" in refusal(safetensors.torch.save(state))


def test_weights_of_a_network_that_we_do_not_know_say_what_would_help() -> None:
    try:
        import spandrel  # noqa: F401
    except (ImportError, RuntimeError):
        sentence = refusal(safetensors.torch.save({"conv.weight": torch.zeros(3, 3, 3, 3)}))
        assert "'calotype[community]'" in sentence
    else:
        pytest.skip("spandrel is installed here")


def test_files_that_are_too_large_or_none_are_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "large.onnx").open("wb") as large:
        large.truncate(2 << 30)
    with pytest.raises(CalotypeError, match="more than 1024 MiB"):
        shelf.examine(tmp_path / "large.onnx")
    for path in (tmp_path / "absent.onnx", tmp_path, Path("/dev/zero")):
        with pytest.raises(CalotypeError) as failure:
            shelf.examine(path, name="x")
        assert failure.value.code == "BAD_FILE"


def test_modules_in_the_folder_of_a_download_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("onnx", "onnxruntime", "numpy", "psutil", "calotype"):
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert shelf.examine(saved(network(), tmp_path)).card.scale == 1
