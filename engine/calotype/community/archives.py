"""Files of weights, checked before a library parses them: which format they are, and whether they lie.

Sources: the header of safetensors, github.com/huggingface/safetensors#format; PyTorch's archives,
torch/serialization.py; archives whose members overlap, Fifield 2019 ("A better zip bomb").
"""

import io
import json
import math
import pickletools
import re
import zipfile
from typing import Any

from calotype.community.refusal import BYTES_MAX, refused

HEADER_BYTES_MAX = 16 << 20
MEMBERS_MAX = 20_000

_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}

_HARMLESS = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"}
_HARMLESS |= {
    f"torch {kind}Storage"
    for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
}
"""All that a file of weights needs to name; torch.load(weights_only=True) would let more pass."""

_PICKLE = ("\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05")

AS_SAFETENSORS = "Ask its author for safetensors or ONNX."


def format_of(data: bytes) -> str:
    """'torch', 'safetensors' or 'onnx', by the content. Raises CalotypeError for pickles."""
    if data[:4] == b"PK\x03\x04":
        return "torch"
    if data[:2].decode("latin-1") in _PICKLE:
        raise refused(
            "The file is a bare pickle, which can hold a program, so Calotype does not open it. "
            + AS_SAFETENSORS
        )
    return "safetensors" if data[8:9] == b"{" else "onnx"


def check_safetensors(data: bytes) -> dict[str, str]:
    """The file's metadata. Raises CalotypeError unless every tensor is as large as its shape says."""
    header_bytes = int.from_bytes(data[:8], "little")
    if not 2 <= header_bytes <= min(HEADER_BYTES_MAX, len(data) - 8):
        raise _damaged("its header claims more bytes than there are")
    try:
        header = json.loads(data[8 : 8 + header_bytes])
        metadata = header.pop("__metadata__", {})
        if len(header) > MEMBERS_MAX or not all(type(text) is str for text in metadata.values()):
            raise ValueError
        parts = sorted(_part(entry) for entry in header.values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged("its header does not describe tensors") from error
    end = 0
    for start, stop in parts:
        if start != end:
            raise _damaged("its tensors overlap, or leave gaps")
        end = stop
    if end != len(data) - 8 - header_bytes:
        raise _damaged("it does not hold the bytes that its header promises")
    return dict(metadata)


def _part(entry: dict[str, Any]) -> tuple[int, int]:
    """Where a tensor lies. Raises ValueError where that does not fit its shape."""
    start, stop = entry["data_offsets"]
    shape = entry["shape"]
    if any(type(number) is not int or not 0 <= number <= BYTES_MAX for number in (*shape, start, stop)):
        raise ValueError("a number")
    if len(shape) > 8 or stop - start != math.prod(shape) * _SIZES[entry["dtype"]]:
        raise ValueError("a shape")
    return start, stop


def clean_torch(data: bytes) -> bytes:
    """The same weights in a new archive that holds them and nothing else.

    What torch is given is thus what was checked here, however its reader of zips may differ from ours.
    Raises CalotypeError where the archive is compressed, lies about sizes, or names anything that is no
    tensor.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {member.filename: member for member in _checked(archive, len(data))}
            root = _root(members)
            program = archive.read(members[f"{root}/data.pkl"])
            _check_pickle(program)
            if f"{root}/byteorder" in members and archive.read(f"{root}/byteorder") != b"little":
                raise refused(f"The weights were written on a big-endian machine. {AS_SAFETENSORS}")
            clean = io.BytesIO()
            with zipfile.ZipFile(clean, "w") as target:
                target.writestr("weights/data.pkl", program)
                target.writestr("weights/byteorder", "little")
                target.writestr("weights/version", "3\n")
                for name in members:
                    if re.fullmatch(re.escape(root) + r"/data/\d{1,9}", name):
                        target.writestr("weights/data/" + name.rpartition("/")[2], archive.read(name))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _damaged("it is no whole archive of PyTorch") from error
    return clean.getvalue()


def _checked(archive: zipfile.ZipFile, file_bytes: int) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(members) > MEMBERS_MAX or len(set(names)) != len(names):
        raise _damaged("it has too many members, or two of one name")
    for member in members:
        name = member.filename
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name or "\0" in name:
            raise refused(
                f"The archive has a member outside of its own folder: {name!r:.80}. It is not opened."
            )
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise refused(
                "The archive is compressed, which PyTorch never does and which can hide a bomb. "
                f"{AS_SAFETENSORS}"
            )
    if sum(member.file_size for member in members) > file_bytes:
        raise _damaged("its members claim more bytes than there are")
    return members


def _root(members: dict[str, zipfile.ZipInfo]) -> str:
    roots = [name[: -len("/data.pkl")] for name in members if name.endswith("/data.pkl")]
    if len(roots) != 1 or "/" in roots[0]:
        raise refused(f"The archive is not one that PyTorch saves weights in. {AS_SAFETENSORS}")
    if any(name.startswith(f"{roots[0]}/code/") or name.endswith("/constants.pkl") for name in members):
        raise refused(f"The file is a TorchScript program and not weights. {AS_SAFETENSORS}")
    if members[f"{roots[0]}/data.pkl"].file_size > HEADER_BYTES_MAX:
        raise _damaged("its list of tensors is too long")
    return roots[0]


def _check_pickle(program: bytes) -> None:
    """Reads the pickle's instructions; carries none of them out."""
    try:
        for instruction, argument, _ in pickletools.genops(program):
            name = instruction.name
            if name == "GLOBAL" and argument not in _HARMLESS:
                raise refused(
                    f"The file asks Python to load '{argument:.80}', which is no weights: it may be a "
                    f"program that harms you. Nothing of it was run. {AS_SAFETENSORS}"
                )
            if name in ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "PERSID") or "EXT" in name:
                raise refused(
                    f"The file's pickle uses {name}, which weights do not need: it may be a program that "
                    f"harms you. Nothing of it was run. {AS_SAFETENSORS}"
                )
    except (ValueError, UnicodeDecodeError, IndexError) as error:
        raise _damaged("its list of tensors is broken") from error


def _damaged(how: str) -> Exception:
    return refused(f"The file is damaged: {how}. Download it again.")
