"""What it costs to carry a picture of 24 megapixels to the engine and back, beside what others do.

    python benchmarks/transport.py [--runs 9]

Prints Markdown for docs/benchmarks.md. Every method carries the same photo (6000 x 4000 RGBA, 8 bits)
from one process to another and gets a copy of it back into one piece of memory; the result is compared
bit for bit before anything is timed. Methods take turns, so that other load hits all of them.
"""

import argparse
import base64
import contextlib
import http.client
import io
import json
import multiprocessing
import secrets
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import numpy as np
import zmq
from PIL import Image
from stage import Pixels, finish, header, layer, photo, private_home, start, table, timed, verdict
from zmq.auth.thread import ThreadAuthenticator

from calotype_wire.client import Request

WIDTH, HEIGHT = 6000, 4000
SHAPE = (HEIGHT, WIDTH, 4)
PICTURE_BYTES = HEIGHT * WIDTH * 4
CHUNK_BYTES = 1 << 20
USER = "benchmark"
PEER_RATIO = 10.0
BARE_SHARE = 0.6
PNG_LEVELS = {1: "fastest", 6: "default"}

Trip = Callable[[Pixels], Pixels]
"""There and back again."""

spawn = multiprocessing.get_context("spawn")


@contextlib.contextmanager
def child(main: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """A process that runs main(pipe, *arguments); ended with the block."""
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=main, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()


# ---- ours


@contextlib.contextmanager
def calotype() -> Iterator[Trip]:
    with private_home(Path(__file__).parent / "operations"):
        client = start()

        def trip(pixels: Pixels) -> Pixels:
            result = finish(client, Request("identity", [layer(pixels)]))
            return np.frombuffer(result.layers[0].pixels, np.uint8).reshape(SHAPE)

        yield trip
        client.close()


# ---- memcpy


@contextlib.contextmanager
def memcpy() -> Iterator[Trip]:
    there, back = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)

    def trip(pixels: Pixels) -> Pixels:
        np.copyto(there, pixels)
        np.copyto(back, there)
        return back

    yield trip


# ---- bare pyzmq: client -> broker -> worker -> broker -> client


@contextlib.contextmanager
def bare_pyzmq(gather: bool) -> Iterator[Trip]:
    """gather: the worker, too, collects the picture in one piece of memory before it answers."""
    password = secrets.token_hex(32)
    with child(_broker, password) as broker:
        front, back = broker.recv()
        with child(_echo, back, password, gather) as echo, _dealer(front, password) as socket:
            echo.recv()
            yield partial(_stream, socket)


def _stream(socket: "zmq.Socket[bytes]", pixels: Pixels) -> Pixels:
    data = pixels.data.cast("B")
    result = np.empty(SHAPE, np.uint8)
    into = result.data.cast("B")
    for offset in range(0, PICTURE_BYTES, CHUNK_BYTES):
        socket.send(data[offset : offset + CHUNK_BYTES], copy=False)
    _gather(socket, into)
    return result


def _gather(socket: "zmq.Socket[bytes]", into: memoryview) -> None:
    offset = 0
    while offset < PICTURE_BYTES:
        chunk = socket.recv(copy=False).buffer
        into[offset : offset + len(chunk)] = chunk
        offset += len(chunk)


def _broker(pipe: Connection, password: str) -> None:
    context = zmq.Context()
    guard = ThreadAuthenticator(context)
    guard.start()
    guard.configure_plain("*", {USER: password})
    front, back = (_router(context) for _ in range(2))
    pipe.send((front.getsockopt_string(zmq.LAST_ENDPOINT), back.getsockopt_string(zmq.LAST_ENDPOINT)))
    client = b""
    poller = zmq.Poller()
    poller.register(front, zmq.POLLIN)
    poller.register(back, zmq.POLLIN)
    while True:
        for socket, _ in poller.poll():
            frames = socket.recv_multipart(copy=False)
            if socket is front:
                client = frames[0].bytes
                back.send_multipart([b"worker", frames[1]], copy=False)
            elif client:
                front.send_multipart([client, frames[1]], copy=False)


def _router(context: "zmq.Context[zmq.Socket[bytes]]") -> "zmq.Socket[bytes]":
    socket = context.socket(zmq.ROUTER)
    socket.plain_server = True
    socket.sndhwm = socket.rcvhwm = 0
    socket.bind("tcp://127.0.0.1:*")
    return socket


def _echo(pipe: Connection, endpoint: str, password: str, gather: bool) -> None:
    with _dealer(endpoint, password, b"worker") as socket:
        pipe.send("ready")
        while True:
            if gather:
                whole = np.empty(SHAPE, np.uint8).data.cast("B")
                _gather(socket, whole)
                pieces = [whole[o : o + CHUNK_BYTES] for o in range(0, PICTURE_BYTES, CHUNK_BYTES)]
            else:
                count = -(-PICTURE_BYTES // CHUNK_BYTES)
                pieces = [socket.recv(copy=False).buffer for _ in range(count)]
            for piece in pieces:
                socket.send(piece, copy=False)


@contextlib.contextmanager
def _dealer(endpoint: str, password: str, name: bytes = b"") -> Iterator["zmq.Socket[bytes]"]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.plain_username, socket.plain_password = USER.encode(), password.encode()
        socket.sndhwm = socket.rcvhwm = 0
        socket.linger = 0
        if name:
            socket.routing_id = name
        socket.connect(endpoint)
        yield socket


# ---- PNG files


@contextlib.contextmanager
def png_files(level: int) -> Iterator[Trip]:
    with tempfile.TemporaryDirectory() as folder, child(_file_worker, level) as worker:
        there, back = Path(folder) / "there.png", Path(folder) / "back.png"

        def trip(pixels: Pixels) -> Pixels:
            there.write_bytes(_png(pixels, level))
            worker.send((there, back))
            worker.recv()
            return _pixels(back.read_bytes())

        yield trip


def _file_worker(pipe: Connection, level: int) -> None:
    while True:
        there, back = pipe.recv()
        back.write_bytes(_png(_pixels(there.read_bytes()), level))
        pipe.send("done")


def _png(pixels: Pixels, level: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", compress_level=level)
    return data.getvalue()


def _pixels(png: bytes) -> Pixels:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


# ---- PNG in base64 in JSON over HTTP


@contextlib.contextmanager
def http_json(level: int) -> Iterator[Trip]:
    with child(_http_worker, level) as worker:
        connection = http.client.HTTPConnection("127.0.0.1", worker.recv())

        def trip(pixels: Pixels) -> Pixels:
            connection.request("POST", "/", _to_json(_png(pixels, level)))
            return _pixels(_from_json(connection.getresponse().read()))

        yield trip
        connection.close()


def _http_worker(pipe: Connection, level: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            pixels = _pixels(_from_json(self.rfile.read(int(self.headers["Content-Length"]))))
            answer = _to_json(_png(pixels, level))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_port)
    server.serve_forever()


def _to_json(png: bytes) -> bytes:
    return json.dumps({"image": base64.b64encode(png).decode()}).encode()


def _from_json(data: bytes) -> bytes:
    return base64.b64decode(json.loads(data)["image"])


# ---- all of them

OURS = "**Calotype** (client → server → worker → back)"
METHODS: dict[str, Callable[[], contextlib.AbstractContextManager[Trip]]] = {
    OURS: calotype,
    "memcpy, two copies in warm memory": memcpy,
    "bare pyzmq, same hops": partial(bare_pyzmq, False),
    "bare pyzmq, same hops, worker gathers the picture": partial(bare_pyzmq, True),
    **{f"PNG files, {name} compression": partial(png_files, n) for n, name in PNG_LEVELS.items()},
    **{f"PNG in base64 in JSON over HTTP, {name}": partial(http_json, n) for n, name in PNG_LEVELS.items()},
}


def measure(pixels: Pixels, runs: int) -> dict[str, float]:
    """Median seconds of each method. Raises RuntimeError where one changes the picture."""
    seconds: dict[str, list[float]] = {name: [] for name in METHODS}
    with contextlib.ExitStack() as stack:
        trips = {name: stack.enter_context(method()) for name, method in METHODS.items()}
        for name, trip in trips.items():
            for _ in range(2):  # the first trip also loads and connects
                if not np.array_equal(trip(pixels), pixels):
                    raise RuntimeError(f"{name} changed the picture")
        for _ in range(runs):
            for name, trip in trips.items():
                seconds[name].append(timed(partial(trip, pixels)))
    return {name: median(values) for name, values in seconds.items()}


def goals(seconds: dict[str, float]) -> list[list[str]]:
    ours = seconds[OURS]
    rows = []
    for peer in ("PNG files", "PNG in base64"):
        ratio = min(s for name, s in seconds.items() if name.startswith(peer)) / ours
        met = ratio >= PEER_RATIO
        rows.append(
            [f"{peer}, its faster variant: times slower", f"{ratio:.1f}", f"≥ {PEER_RATIO:g}", verdict(met)]
        )
    share = min(s for name, s in seconds.items() if name.startswith("bare")) / ours
    met = share >= BARE_SHARE
    rows.append(
        [
            "share of bare pyzmq's speed, its faster variant",
            f"{share:.0%}",
            f"≥ {BARE_SHARE:.0%}",
            verdict(met),
        ]
    )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    opening = header("one a process, and those of ZeroMQ", "pyzmq", "msgpack", "pillow", "numpy")
    pixels = photo(WIDTH, HEIGHT)
    seconds = measure(pixels, options.runs)
    print("## Transport\n")
    print(opening)
    print(
        f"There and back with a photo of {WIDTH} x {HEIGHT} pixels, RGBA of 8 bits, "
        f"{PICTURE_BYTES / 1e6:.0f} MB ({len(_png(pixels, 6)) / 1e6:.0f} MB as PNG); medians of "
        f"{options.runs} runs after a warm-up, methods taking turns. MB/s counts both ways. bare pyzmq: "
        "DEALER, ROUTER/ROUTER, DEALER over TCP with PLAIN, messages of 1 MiB without copies. Files lie in "
        f"the system's folder for temporary files.\n"
    )
    rows = [
        [
            name,
            f"{value * 1000:,.0f}",
            f"{2 * PICTURE_BYTES / 1e6 / value:,.0f}",
            f"{value / seconds[OURS]:.2f}",
        ]
        for name, value in seconds.items()
    ]
    print(table(["method", "ms", "MB/s", "time, Calotype = 1"], rows))
    print(table(["goal", "measured", "wanted", ""], goals(seconds)))


if __name__ == "__main__":
    main()
