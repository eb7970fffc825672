"""Our pure-Python DEALER against libzmq's ROUTER, and against peers that lie."""

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st
from zmq.auth.thread import ThreadAuthenticator

from calotype_wire.errors import CalotypeError
from calotype_wire.zmtp import Dealer

LIMIT = 64 << 20


@pytest.fixture
def router() -> Iterator["zmq.Socket[bytes]"]:
    context = zmq.Context()
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_plain("tests", {"calotype": "secret"})
    server = context.socket(zmq.ROUTER)
    server.zap_domain = b"tests"
    server.plain_server = True
    server.linger = 0
    server.heartbeat_ivl = 50
    server.heartbeat_timeout = 400
    server.bind("tcp://127.0.0.1:*")
    yield server
    authenticator.stop()
    context.destroy(linger=0)


def dealer(router: "zmq.Socket[bytes]", password: bytes = b"secret") -> Dealer:
    return Dealer(router.getsockopt_string(zmq.LAST_ENDPOINT), b"calotype", password, LIMIT)


def pump_until(client: Dealer, condition, timeout_s: float = 5.0) -> list:
    messages: list = []
    deadline = time.monotonic() + timeout_s
    while not condition(messages):
        assert time.monotonic() < deadline, "nothing came"
        writable = [client] if client.unsent else []
        select.select([client], writable, [], 0.02)
        messages += client.pump()
    return messages


@pytest.mark.parametrize(
    "parts",
    [
        [b"x"],
        [b""],
        [b"a" * 255],
        [b"a" * 256],
        [b"header", b"b" * 70_000],
        [b"header", bytes(range(256)) * 40_000, b""],
        [b"1", b"2", b"3", b"4", b"5"],
    ],
    ids=lambda parts: "+".join(str(len(part)) for part in parts),
)
def test_messages_reach_libzmq_and_come_back_bit_for_bit(router: "zmq.Socket[bytes]", parts: list) -> None:
    client = dealer(router)
    client.send([memoryview(part) for part in parts])
    pump_until(client, lambda _: router.poll(0))
    identity, *received = router.recv_multipart()
    assert received == parts
    router.send_multipart([identity, *parts])
    (back,) = pump_until(client, lambda messages: messages)
    assert [bytes(part) for part in back] == parts
    client.close()


def test_many_messages_keep_their_order(router: "zmq.Socket[bytes]") -> None:
    client = dealer(router)
    for number in range(3000):
        client.send([str(number).encode()])
    seen: list[int] = []

    def take(_: list) -> bool:
        while router.poll(0):
            seen.append(int(router.recv_multipart()[1]))
        return len(seen) == 3000

    pump_until(client, take, 20)
    assert seen == list(range(3000))
    client.close()


def test_a_wrong_password_is_refused_within_two_seconds(router: "zmq.Socket[bytes]") -> None:
    client = dealer(router, b"wrong")
    with pytest.raises(CalotypeError) as refused:
        pump_until(client, lambda _: False, 2.0)
    assert refused.value.code == "REFUSED"
    client.close()
    assert not router.poll(50)


def test_heartbeats_are_answered_so_libzmq_keeps_the_connection(router: "zmq.Socket[bytes]") -> None:
    client = dealer(router)
    client.send([b"hello"])
    pump_until(client, lambda _: router.poll(0))
    identity, _ = router.recv_multipart()
    until = time.monotonic() + 1.2  # three times the router's patience
    pump_until(client, lambda _: time.monotonic() > until)
    router.send_multipart([identity, b"still there"])
    assert pump_until(client, lambda messages: messages) == [[b"still there"]]
    client.close()


def test_nothing_listening_is_an_error_and_not_a_hang() -> None:
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    client = Dealer(f"tcp://127.0.0.1:{port}", b"u", b"p", LIMIT)
    with pytest.raises(CalotypeError) as lost:
        pump_until(client, lambda _: False)
    client.close()
    assert lost.value.code == "ENGINE_LOST"


@pytest.mark.parametrize("endpoint", ["", "tcp://", "tcp://x", "ipc:///tmp/x", "tcp://127.0.0.1:port"])
def test_an_endpoint_that_is_none_is_an_error(endpoint: str) -> None:
    with pytest.raises(CalotypeError):
        Dealer(endpoint, b"u", b"p", LIMIT)


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"PLAIN".ljust(20, b"\0") + b"\x01" + bytes(31)
WELCOME = b"\x04\x08\x07WELCOME"
READY = b"\x04\x06\x05READY"


def frame(body: bytes, more: bool = False) -> bytes:
    if len(body) < 256:
        return bytes([more, len(body)]) + body
    return struct.pack(">BQ", 2 | more, len(body)) + body


def against(script: list[bytes], until, frame_bytes_max: int = LIMIT) -> list:
    """A Dealer that talks to a peer who sends script, piece by piece, and then waits."""
    listener = socket.create_server(("127.0.0.1", 0))

    def play() -> None:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with peer:
            for piece in script:
                try:
                    peer.sendall(piece)
                except OSError:
                    return
            peer.settimeout(3)
            try:
                while peer.recv(65536):
                    pass
            except OSError:
                pass

    thread = threading.Thread(target=play)
    thread.start()
    client = Dealer(f"tcp://127.0.0.1:{listener.getsockname()[1]}", b"u", b"p", frame_bytes_max)
    try:
        return pump_until(client, until)
    finally:
        client.close()
        thread.join()
        listener.close()


@settings(max_examples=30, deadline=None)
@given(
    bodies=st.lists(st.binary(max_size=400) | st.just(b"z" * 70_000), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 900), max_size=12),
)
def test_frames_arrive_whole_however_the_network_cuts_them(bodies: list[bytes], cuts: list[int]) -> None:
    stream = GREETING + WELCOME + READY + b"".join(frame(body) for body in bodies)
    pieces = []
    for cut in cuts:
        pieces.append(stream[:cut])
        stream = stream[cut:]
    messages = against([*pieces, stream], lambda found: len(found) == len(bodies))
    assert [bytes(message[0]) for message in messages] == bodies


@pytest.mark.parametrize(
    "script",
    [
        [b"HTTP/1.1 400 Bad Request\r\n\r\n" + b" " * 64],
        [b"\x01\x00" + bytes(80)],
        [GREETING.replace(b"PLAIN", b"NULL\0")],
        [GREETING, frame(b"too early")],
        [GREETING, b"\x80\x00"],
        [GREETING + WELCOME + READY, b"\x02" + b"\xff" * 8],
        [GREETING + WELCOME + READY, struct.pack(">BQ", 2, 20 << 30)],
        [GREETING + WELCOME + READY, b"\x40\x01x"],
        [GREETING + WELCOME + READY, b"".join(frame(b"x", more=True) for _ in range(20))],
        [GREETING + WELCOME + READY, struct.pack(">BQ", 6, 1 << 20)],
    ],
    ids=["http", "zmtp1", "null", "early", "flags", "2^64", "20GiB", "bits", "endless", "command"],
)
def test_a_peer_that_breaks_the_protocol_is_dropped(script: list[bytes]) -> None:
    with pytest.raises(CalotypeError) as lost:
        against(script, lambda _: False)
    assert lost.value.code == "ENGINE_LOST"
