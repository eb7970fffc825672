"""The catalogue's weights and swatches, made again from its paintings after Dual was trained:

python -m calotype.make_styles PAINTINGS
"""

import sys
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from calotype import stylebook
from calotype.image.codec import Canvas
from calotype.image.face import face
from calotype.models import dual, manner, weights
from calotype.models.device import Device
from calotype.models.manner import Manner
from calotype.ops.stylize import Stylize
from calotype.ops.task import Task
from calotype.train import data
from calotype_wire.protocol import Buffer, Layer, PixelFormat

CPU = Device("cpu", torch.float32)
SWATCH_PX = 128


@torch.no_grad()
def made(paintings: Path) -> dict[str, Tensor]:
    """Weights of the catalogue, by the shipped Dual. paintings: the folder that holds them."""
    network = dual.shipped(CPU)
    found: dict[str, Tensor] = {}
    for style in stylebook.catalogue():
        pixels = data.pixels(paintings / style.painting)
        height, width = (side // 16 * 16 for side in pixels.shape[:2])
        picture = torch.from_numpy(pixels[:height, :width].copy()).permute(2, 0, 1)[None] / 255
        found |= Manner.of(picture, network).tensors(style.name)
    return found


def draw_swatches() -> None:
    """The demo's face in each style, beside the catalogue."""
    seen = (255 * face(SWATCH_PX)[0]).round().to(torch.uint8).permute(1, 2, 0).contiguous()
    layer = Layer(SWATCH_PX, SWATCH_PX, PixelFormat("RGB"), seen.numpy().tobytes())
    for style in stylebook.catalogue():
        canvas = Canvas.of(layer)
        task = Task([canvas], None, False, CPU, _allocate, lambda *_: None)
        Stylize(style=style.name).run(task)
        made = Image.fromarray(task.results[0].native[..., :3])
        made.save(stylebook.FOLDER / f"{style.name}.jpg", quality=85)


def _allocate(name: str, size: int, content: Buffer | None) -> memoryview:
    return memoryview(bytearray(content or size))


def main() -> None:
    weights.ship(made(Path(sys.argv[1])), manner.CONTRACT)
    draw_swatches()


if __name__ == "__main__":
    main()
