"""Models of the shelf, ready to run on pictures."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from calotype.community import cards, states
from calotype.community.cards import RANGES, Card
from calotype.community.session import Session
from calotype.image import tiles
from calotype.models.contract import Contract
from calotype.models.device import Device
from calotype_wire.errors import CalotypeError

LUMINANCE = (0.299, 0.587, 0.114)
"""Source: ITU-R BT.601, which grey models of photos are trained on."""

Run = Callable[[Tensor], Tensor]


class Model:
    """A picture goes in, one of scale times its size comes out. run: in the model's own range and channels.

    Sides must be multiples of multiple; halo_px and bytes_a_pixel as of models.contract.Contract, for each
    pixel of the picture that goes in.
    """

    def __init__(self, card: Card, run: Run) -> None:
        self.name = card.name
        self.scale = card.scale
        self.multiple = card.multiple
        self.halo_px = card.halo_px
        self.bytes_a_pixel = card.bytes_a_pixel
        self._card = card
        self._own = run

    def __call__(self, picture: Tensor) -> Tensor:
        """picture: (1, 3, H, W), 0..1. Returns (1, 3, scale H, scale W), float32, not clipped, on its device.

        A grey model that enlarges does so to the luminance, and colour differences follow by bicubic
        interpolation; one that keeps the size restores each channel, because noise is in all of them.
        Raises MemoryError, and CalotypeError BAD_MODEL where it fails.
        """
        picture = picture.float()
        if self._card.channels == 3:
            return self._run(picture)
        first = picture[:, :1]
        if bool((picture == first).all()):
            return self._run(first).expand(-1, 3, -1, -1)
        if self.scale == 1:
            return torch.cat([self._run(picture[:, [channel]]) for channel in range(3)], dim=1)
        weights = torch.tensor(LUMINANCE, device=picture.device)[:, None, None]
        grey = (picture * weights).sum(1, keepdim=True)
        colour = interpolate(picture - grey, scale_factor=float(self.scale), mode="bicubic")
        return self._run(grey) + colour

    def _run(self, picture: Tensor) -> Tensor:
        factor, offset = RANGES[self._card.values]
        ranged = picture * factor + offset
        if self._card.side_px[0]:
            overlap = min(self.halo_px, min(self._card.side_px) // 4)
            result = in_windows(self._own, ranged, self._card.side_px, overlap, self.scale)
        else:
            result = self._own(ranged)
        expected = (*picture.shape[:2], *(side * self.scale for side in picture.shape[2:]))
        if result.shape != expected:
            raise CalotypeError(
                "BAD_MODEL",
                f"The model '{self.name}' made a picture of another size than it should. Choose another.",
            )
        return (result - offset) / factor


def load(name: str, device: Device) -> Model:
    """Checks the file against its SHA-256 whenever it is read; keeps the two last models in memory.

    Raises CalotypeError NO_MODEL, BAD_WEIGHTS, BAD_MODEL, NOT_INSTALLED.
    """
    return _loaded(cards.find(name), device)


@lru_cache(maxsize=2)
def _loaded(card: Card, device: Device) -> Model:
    data = card.checked_bytes()
    return Model(card, _onnx(card, data, device) if card.format == "onnx" else _network(data, device))


def _onnx(card: Card, data: bytes, device: Device) -> Run:
    session = Session(data, card.dtype, device.name, torch.get_num_threads())
    return lambda picture: torch.from_numpy(session(picture.cpu().numpy())).to(picture.device)


def _network(data: bytes, device: Device) -> Run:
    format, network = states.build(states.from_safetensors(data))
    if format == "spandrel":  # some of its networks fail in less than float32
        device = replace(device, dtype=torch.float32)
    placed = device.place(network)

    def run(picture: Tensor) -> Tensor:
        with device.inference():
            result: Tensor = placed(device.send(picture)).float()
        return result.to(picture.device)

    return run


def in_windows(run: Run, picture: Tensor, side_px: tuple[int, int], overlap: int, scale: int) -> Tensor:
    """run, which takes (1, C, *side_px) alone, over a picture of any size; windows fade into each other."""
    height, width = picture.shape[2:]
    down, right = (max(0, side - length) for side, length in zip(side_px, (height, width), strict=True))
    padded = pad(picture, (0, right, 0, down), mode="replicate")  # 1 C H W
    fade_down, fade_right = (_fade(side * scale, overlap * scale).to(picture.device) for side in side_px)
    weight = fade_down[:, None] * fade_right
    total = padded.new_zeros(1, picture.shape[1], *(side * scale for side in padded.shape[2:]))
    weights = torch.zeros_like(total[:, :1])
    for y in _starts(padded.shape[2], side_px[0], overlap):
        for x in _starts(padded.shape[3], side_px[1], overlap):
            window = padded[..., y : y + side_px[0], x : x + side_px[1]]
            rows = slice(y * scale, (y + side_px[0]) * scale)
            columns = slice(x * scale, (x + side_px[1]) * scale)
            total[..., rows, columns] += run(window) * weight
            weights[..., rows, columns] += weight
    return (total / weights)[..., : height * scale, : width * scale]


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """The last window ends where the picture does."""
    return [*range(0, length - side, side - overlap), length - side]


def _fade(length: int, overlap: int) -> Tensor:
    """Weights (length,), never 0, that rise over overlap from both ends."""
    positions = torch.arange(length, dtype=torch.float32) + 0.5
    return (torch.minimum(positions, length - positions) / max(1, overlap)).clamp(max=1)


def added(name: str, device: Device) -> tuple[Callable[[Tensor], Tensor], Contract]:
    """A model for pictures (3, h, w) of any size, on the CPU. Raises CalotypeError NO_MODEL, BAD_WEIGHTS."""
    model = load(name, device)
    contract = Contract(name, model.multiple, model.halo_px, model.bytes_a_pixel, model.scale)

    def whole(padded: Tensor) -> Tensor:
        with torch.inference_mode():
            return model(device.send(padded)).cpu()

    return lambda picture: tiles.padded(whole, picture, contract.multiple, contract.scale), contract
