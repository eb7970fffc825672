"""Headers and layers: anything that is not one is refused, before anything is allocated."""

import os
import subprocess
import sys
import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype_wire import protocol
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Layer, LayerShape, PixelFormat

GOOD = {
    "type": "submit",
    "job": "1-1",
    "operation": "restore",
    "parameters": {"strength": 80.0},
    "layers": [LayerShape(4, 4, PixelFormat()).to_wire()],
}


def code_of(data: bytes) -> str:
    with pytest.raises(CalotypeError) as refused:
        protocol.unpack(data)
    return refused.value.code


@given(st.binary(max_size=300))
def test_any_bytes_are_a_map_or_a_bad_request(data: bytes) -> None:
    try:
        assert isinstance(protocol.unpack(data), dict)
    except CalotypeError as refused:
        assert refused.code == "BAD_REQUEST"  # noqa: PT017 either outcome is right


def test_a_header_cut_anywhere_is_refused() -> None:
    packed = protocol.pack(GOOD)
    assert protocol.unpack(packed) == GOOD
    for length in range(len(packed)):
        assert code_of(packed[:length]) == "BAD_REQUEST"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        b"\x93\x01\x02\x03",
        b"\x91" * 60_000 + b"\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\x81" * 30_000 + b"\xa1x",
        b"\xd4\x01\x00",
        b"\x81\xa1x\xd6\xff\x00\x00\x00\x00",
        b"\x82\xa1x\x01\xa1x\x02",
        b"\x81\x05\x01",
        msgpack.packb({"x": b"y" * 70_000}),
        msgpack.packb({}) + b"\x00",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_bombs_extensions_and_doubled_keys_are_refused_cheaply(data: bytes) -> None:
    tracemalloc.start()
    assert code_of(data) == "BAD_REQUEST"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


@pytest.mark.parametrize("fallback", [False, True], ids=["compiled", "pure"])
def test_both_msgpacks_refuse_a_deep_nest(fallback: bool) -> None:
    """Editors run msgpack's pure-Python half."""
    from msgpack import fallback as pure

    unpacker = pure.Unpacker if fallback else msgpack.Unpacker
    nest = unpacker(strict_map_key=True, max_ext_len=0)
    nest.feed(b"\x91" * 60_000)
    with pytest.raises((ValueError, RecursionError, msgpack.UnpackException)):
        nest.unpack()


sides = st.integers(-(2**63), 2**63) | st.integers(0, 5)
values = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=5)
    | sides
    | st.lists(st.integers(), max_size=2)
)


@given(st.dictionaries(st.sampled_from([*GOOD["layers"][0], "more"]), values) | values)
def test_any_layer_description_is_sound_or_refused(wire: object) -> None:
    base = dict(GOOD["layers"][0])
    try:
        shape = LayerShape.from_wire({**base, **wire} if isinstance(wire, dict) else wire)
    except CalotypeError as refused:
        assert refused.code in ("BAD_REQUEST", "TOO_LARGE")  # noqa: PT017 either outcome is right
        return
    assert 0 < shape.width * shape.height <= protocol.PIXELS_MAX
    assert shape.total_bytes < 20 << 30


def test_unknown_fields_are_tolerated() -> None:
    wire = {**GOOD["layers"][0], "invented_later": [1, 2]}
    assert LayerShape.from_wire(wire) == LayerShape(4, 4, PixelFormat())


def test_the_older_side_is_named_when_versions_differ() -> None:
    assert protocol.negotiate([7, 1]) == 1
    for offered, older in (([0], "the editor plugin is the older"), ([99], "the engine is the older")):
        with pytest.raises(CalotypeError, match=older) as refused:
            protocol.negotiate(offered)
        assert refused.value.code == "VERSION"
    with pytest.raises(CalotypeError):
        protocol.negotiate([True, "1", None])


def test_a_layer_whose_pixels_do_not_fill_it_cannot_be_made() -> None:
    with pytest.raises(ValueError):
        Layer(2, 2, PixelFormat("RGB"), bytes(11))


def test_an_error_fits_a_dialog() -> None:
    header = protocol.error(CalotypeError("X", "w" * 5000), "j")
    assert len(header["sentence"]) == protocol.SENTENCE_CHARS_MAX


def test_the_wire_package_imports_nothing_compiled_but_msgpack() -> None:
    ours = {name for name in sys.modules if name.startswith("calotype_wire")}
    assert "calotype_wire.protocol" in ours
    for name in ours:
        assert (sys.modules[name].__file__ or "").endswith(".py")


def test_editors_without_compiled_msgpack_refuse_and_take_the_same() -> None:
    code = (
        "import msgpack.fallback, msgpack, pytest, sys; assert msgpack.Unpacker is msgpack.fallback.Unpacker;"
    )
    code += "sys.exit(pytest.main(['-q', '-x', '-p', 'no:cacheprovider', sys.argv[1], '-k', 'not editors']))"
    pure = {**os.environ, "MSGPACK_PUREPYTHON": "1"}
    tests = subprocess.run([sys.executable, "-c", code, __file__], env=pure, capture_output=True, text=True)
    assert tests.returncode == 0, tests.stdout[-2000:]
