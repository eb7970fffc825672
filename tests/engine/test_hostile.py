"""Strangers, liars and slow readers: they are refused or dropped, and nobody else notices."""

import os
import random
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import psutil
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calotype_wire import connection, places, protocol
from calotype_wire.client import Client, Request, connect
from calotype_wire.connection import Connection
from calotype_wire.errors import CalotypeError
from conftest import Engine, fail, layer, noise, run, wait_for

PHOTO = layer(noise(40, 40))


class Raw:
    """A peer with the password that says whatever it likes, through libzmq."""

    def __init__(self, hello: bool = True, rcvhwm: int = 1000) -> None:
        found = connection.load(places.connection_file())
        assert found is not None
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.plain_username = protocol.USER
        self.socket.plain_password = found.token.encode()
        self.socket.linger = 0
        self.socket.rcvhwm = rcvhwm
        self.socket.connect(found.endpoint)
        if hello:
            self.say({"type": "hello", "versions": [1], "name": "raw"})
            assert self.hear("welcome")

    def say(self, header: dict, *payload: bytes) -> None:
        self.socket.send_multipart([msgpack.packb(header), *payload])

    def hear(self, kind: str, timeout_s: float = 5) -> dict:
        """The next message of that kind."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.socket.poll(50):
                header = msgpack.unpackb(self.socket.recv_multipart()[0])
                if header["type"] == kind:
                    return dict(header)
        raise AssertionError(f"no {kind} came")

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.fixture
def raw(engine: Engine) -> Iterator[Raw]:
    peer = Raw()
    yield peer
    peer.close()


def submission(**changes: object) -> dict:
    return {
        "type": "submit",
        "job": "1",
        "operation": "identity",
        "parameters": {},
        "layers": [PHOTO.describe().to_wire()],
        "selection": False,
        "selection_to": "pixels",
        "priority": "interactive",
        "supersedes": "",
        **changes,
    }


def port() -> int:
    found = connection.load(places.connection_file())
    assert found is not None
    return int(found.endpoint.rpartition(":")[2])


def log_lines() -> list[str]:
    return places.log_file().read_text().splitlines()


def test_no_stranger_reaches_the_dispatcher(engine: Engine, client: Client) -> None:
    """HTTP, TLS, ZMTP 1 and 2, NULL security, random bytes."""
    null = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    rng = random.Random(0)
    openings = [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /submit HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n" + b"\x01\x00" * 20,
        b"OPTIONS / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"\x01\x00\x05\x00hello",
        b"\xff" + bytes(7) + b"\x01\x7f\x01\x05\x00\x00\x05\x00hello",
        null + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER" + b"\x00\x05hello",
        *(rng.randbytes(rng.randrange(1, 4000)) for _ in range(200)),
    ]
    before = len(log_lines())
    for opening in openings:
        with socket.create_connection(("127.0.0.1", port()), 5) as stranger:
            try:
                stranger.sendall(opening)
            except OSError:
                pass  # dropped already
    run(client, Request("identity", [PHOTO]))
    fresh = [line for line in log_lines()[before:] if "identity done" not in line]
    assert fresh == []


def test_a_frame_that_claims_too_much_is_dropped_before_memory_is_taken(engine: Engine) -> None:
    found = connection.load(places.connection_file())
    assert found is not None
    server = psutil.Process(engine.process.pid)
    before = server.memory_info().vms
    for size in (1 << 62, 20 << 30, 64 << 20):
        with socket.create_connection(("127.0.0.1", port()), 5) as peer:
            peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"PLAIN".ljust(20, b"\0") + bytes(32))
            token = found.token.encode()
            hello = b"\x05HELLO\x08calotype" + bytes([len(token)]) + token
            peer.sendall(bytes([4, len(hello)]) + hello)
            initiate = b"\x08INITIATE\x0bSocket-Type\x00\x00\x00\x06DEALER"
            peer.sendall(bytes([4, len(initiate)]) + initiate)
            peer.sendall(struct.pack(">BQ", 2, size) + bytes(100))
            peer.settimeout(5)
            try:
                while peer.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    assert server.memory_info().vms - before < 128 << 20


@pytest.mark.parametrize("token", ["", "0" * 64, "f" * 255])
def test_a_wrong_token_is_refused_and_not_tried_for_ever(engine: Engine, token: str) -> None:
    found = connection.load(places.connection_file())
    assert found is not None
    with pytest.raises(CalotypeError) as refused:
        connect(Connection(found.endpoint, token, found.pid, found.engine), "stranger")
    assert refused.value.code == "REFUSED"


def test_an_editors_token_opens_no_door_for_workers(engine: Engine) -> None:
    found = connection.load(places.connection_file())
    assert found is not None
    connections = psutil.Process(engine.process.pid).net_connections("tcp")
    listening = {c.laddr.port for c in connections if c.status == "LISTEN"}
    (back,) = listening - {port()}
    with pytest.raises(CalotypeError) as refused:
        connect(Connection(f"tcp://127.0.0.1:{back}", found.token, 0, ""), "spy")
    assert refused.value.code == "REFUSED"


def test_a_peer_of_another_version_hears_which_side_is_older(engine: Engine) -> None:
    for versions, older in (([0], "editor plugin is the older"), ([2, 3], "engine is the older")):
        peer = Raw(hello=False)
        peer.say({"type": "hello", "versions": versions, "name": "other"})
        heard = peer.hear("error")
        assert heard["code"] == "VERSION"
        assert older in heard["sentence"]
        peer.close()


def test_a_newer_peer_that_also_speaks_ours_is_welcome_with_all_its_extras(engine: Engine) -> None:
    peer = Raw(hello=False)
    peer.say({"type": "hello", "versions": [9, 1], "name": "newer", "colour_management": {"deep": [1]}})
    assert peer.hear("welcome")["version"] == 1
    peer.close()


def test_nothing_is_served_before_the_hello(engine: Engine) -> None:
    peer = Raw(hello=False)
    peer.say(submission())
    assert peer.hear("error")["code"] == "VERSION"
    peer.close()


def test_a_job_id_is_executed_once_however_often_it_is_sent(raw: Raw) -> None:
    raw.say(submission())
    raw.say(submission())
    raw.hear("accepted")
    assert raw.hear("error")["code"] == "DUPLICATE_JOB"
    chunk = {"type": "chunk", "job": "1", "layer": 0, "offset": 0}
    for _ in range(3):
        raw.say(chunk, bytes(PHOTO.pixels))
    raw.hear("result")
    raw.say(submission())
    assert raw.hear("error")["code"] == "DUPLICATE_JOB"


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        ({"offset": 1}, bytes(4800)),
        ({"offset": 0}, bytes(4801)),
        ({"offset": 0}, b""),
        ({"offset": -1}, b"x"),
        ({"offset": 2**62}, b"x"),
        ({"offset": True}, b"x"),
        ({"offset": 0, "layer": 1}, b"x"),
        ({"offset": 0, "layer": -1}, b"x"),
        ({}, b"x"),
    ],
    ids=str,
)
def test_chunks_that_lie_end_the_job_or_are_refused(raw: Raw, header: dict, payload: bytes) -> None:
    raw.say(submission(job="lie"))
    raw.hear("accepted")
    raw.say({"type": "chunk", "job": "lie", "layer": 0, **header}, payload)
    assert raw.hear("error")["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("side", [0, -1, 2**31, 2**63 - 1, 1.0, True, None, "9"])
def test_layers_of_impossible_size_are_refused(raw: Raw, side: object) -> None:
    wire = {**PHOTO.describe().to_wire(), "width": side}
    raw.say(submission(layers=[wire]))
    assert raw.hear("error")["code"] in ("BAD_REQUEST", "TOO_LARGE")


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(["hello", "ping", "catalogue", "submit", "chunk", "cancel", "fetch", "release", ""])
fields = st.sampled_from([*submission(), "versions", "name", "layer", "offset", "bytes"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=kinds | json, changes=st.dictionaries(fields, json, max_size=3), payload=st.binary(max_size=50))
def test_no_message_of_the_right_shape_but_wrong_content_harms_the_engine(
    engine: Engine, raw: Raw, kind: object, changes: dict, payload: bytes
) -> None:
    raw.say({**submission(), **changes, "type": kind}, payload)
    raw.say({"type": "ping"})
    raw.hear("pong")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(st.binary(max_size=200), max_size=6))
def test_no_bytes_harm_the_engine(engine: Engine, raw: Raw, frames: list[bytes]) -> None:
    raw.socket.send_multipart([*frames, b""])
    raw.say({"type": "ping"})
    raw.hear("pong")


def test_fuzzing_left_the_engine_small(engine: Engine, raw: Raw) -> None:
    before = engine.rss_bytes()
    for _ in range(500):
        raw.socket.send_multipart([b"\x91" * 60_000])
        raw.say({"type": "ping"})
        raw.hear("pong")
    assert engine.rss_bytes() - before < 10 << 20


def test_three_hundred_silent_connections_hinder_nobody(engine: Engine, client: Client) -> None:
    silent = [socket.create_connection(("127.0.0.1", port()), 5) for _ in range(300)]
    slow = silent[0]
    slow.sendall(b"\xff")
    other = engine.client()
    run(other, Request("identity", [PHOTO]))
    other.close()
    for connected in silent:
        connected.close()


def test_more_editors_than_fit_are_refused_and_the_first_stay(engine: Engine, client: Client) -> None:
    peers = [Raw(hello=False) for _ in range(70)]
    for peer in peers:
        peer.say({"type": "hello", "versions": [1], "name": "crowd"})
    heard = [peer for peer in peers if peer.socket.poll(2000)]
    kinds_heard = [msgpack.unpackb(peer.socket.recv_multipart()[0])["type"] for peer in heard]
    assert kinds_heard.count("error") >= 6
    run(client, Request("identity", [PHOTO]))
    for peer in peers:
        peer.close()
    wait_for(lambda: _can_connect(engine))


def _can_connect(engine: Engine) -> bool:
    try:
        engine.client().close()
    except CalotypeError:
        return False
    return True


def test_a_reader_that_never_reads_costs_bounded_memory_and_loses_nothing(engine: Engine) -> None:
    before = engine.rss_bytes()
    lazy = engine.client()
    big = layer(noise(2000, 3000, 4), "RGBA")
    job = lazy.submit(Request("identity", [big]))
    deadline = time.monotonic() + 30
    while not lazy._downloads and time.monotonic() < deadline:
        lazy.wait(0.01)
        lazy.pump()
    time.sleep(2)
    assert engine.rss_bytes() - before < 64 << 20
    wait_for(lambda: bool(lazy.pump()) or job not in lazy.jobs, 20)
    assert job not in lazy.jobs
    lazy.close()


def test_a_peer_that_asks_for_ever_and_never_reads_is_dropped_and_costs_no_memory(
    engine: Engine, client: Client
) -> None:
    run(client, Request("identity", [PHOTO]))  # the worker has its memory
    before = engine.rss_bytes()
    raw = Raw(rcvhwm=1)
    big = layer(noise(1000, 2000, 4), "RGBA")
    raw.say(submission(layers=[big.describe().to_wire()]))
    raw.hear("accepted")
    for offset in range(0, len(big.pixels), protocol.CHUNK_BYTES):
        part = big.pixels[offset : offset + protocol.CHUNK_BYTES]
        raw.say({"type": "chunk", "job": "1", "layer": 0, "offset": offset}, part)
    raw.hear("result", 20)
    for _ in range(3000):
        raw.say({"type": "fetch", "job": "1", "layer": 0, "offset": 0, "bytes": protocol.CHUNK_BYTES})
    wait_for(lambda: "an editor has gone" in places.log_file().read_text().rsplit("hello from raw", 1)[1])
    assert engine.rss_bytes() - before < 64 << 20
    run(client, Request("identity", [PHOTO]))
    raw.close()


def test_more_layers_than_files_may_be_open_are_refused_and_the_engine_lives(raw: Raw) -> None:
    tiny = [protocol.LayerShape(1, 1, protocol.PixelFormat()).to_wire()] * 64
    codes = set()
    for number in range(20):
        raw.say(submission(job=f"many-{number}", layers=tiny))
        header = msgpack.unpackb(raw.socket.recv_multipart()[0])
        while header["type"] not in ("accepted", "error"):
            header = msgpack.unpackb(raw.socket.recv_multipart()[0])
        codes.add(header.get("code", "accepted"))
    assert codes == {"accepted", "BUSY"}
    for number in range(20):
        raw.say({"type": "cancel", "job": f"many-{number}"})


def test_a_header_that_would_not_fit_the_way_to_the_worker_is_refused(raw: Raw) -> None:
    plain = protocol.LayerShape(1, 1, protocol.PixelFormat()).to_wire()
    spare = protocol.HEADER_BYTES_MAX - len(msgpack.packb(submission(job="long", layers=[plain] * 64)))
    named = {**plain, "name": "\U0001f4f7" * ((spare - 200) // 64 // 4)}
    raw.say(submission(job="long", layers=[named] * 64))
    assert raw.hear("error")["code"] == "BAD_REQUEST"
    raw.say({"type": "ping"})
    raw.hear("pong")


def test_fetching_what_is_not_there_is_an_error(raw: Raw) -> None:
    raw.say({"type": "fetch", "job": "none", "layer": 0, "offset": 0, "bytes": 10})
    assert raw.hear("error")["code"] == "EXPIRED"


def test_a_picture_too_large_for_the_memory_is_refused_beforehand(client: Client) -> None:
    side = 20_000
    count = psutil.virtual_memory().total // (2 * side * side * 16) + 1

    class Hollow(protocol.Layer):
        def __post_init__(self) -> None:
            pass

    huge = Hollow(side, side, protocol.PixelFormat("RGBA", "f32"), b"")
    failed = fail(client, Request("identity", [huge] * count))
    assert failed.code == "TOO_LARGE"
    assert "memory" in failed.sentence


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_can_read_neither_token_nor_pixels(engine: Engine) -> None:
    assert stat.S_IMODE(places.run_dir().stat().st_mode) == 0o700
    folders = [places.run_dir(), *Path("/dev/shm").glob("calotype-*")]
    for folder in folders:
        status = subprocess.run(
            ["setpriv", "--reuid", "65534", "--clear-groups", "ls", str(folder)], capture_output=True
        )
        assert status.returncode != 0
