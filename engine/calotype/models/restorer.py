"""Restorer: blind but steerable removal of noise, grain, JPEG blocks and blur.

A residual U-Net of plain 3x3 convolutions on a pixel-unshuffled picture, because that is what CPUs
and GPUs run fastest (docs/adr/0004-networks-of-plain-convolutions.md).

Sources:
- U-Net with residual blocks for denoising, level map as an input: Zhang et al. 2021, "Plug-and-Play
  Image Restoration with Deep Denoiser Prior" (DRUNet).
- Pixel-unshuffled input and a tunable noise level: Zhang, Zuo, Zhang 2018, "FFDNet".
- Weights between faithful and adversarial ones: Wang et al. 2018, "ESRGAN" (network interpolation).
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from calotype.models import weights
from calotype.models.contract import Contract
from calotype.models.device import Device
from calotype.models.loaded import Loaded
from calotype.models.unet import UNet

CONTRACT = Contract(name="restorer", multiple=16, halo_px=64, bytes_a_pixel=300)

DETAIL = "restorer-detail"
"""Name of the weights that were trained against a critic."""

BLIND = -1.0
"""A level that the user leaves to the network."""

NOISE_SIGMA_MAX = 50.0
"""Standard deviation, on the 0..255 scale, that a noise level of 1 stands for."""

BLUR_SIGMA_PX_MAX = 4.0
"""Gaussian standard deviation in pixels that a blur level of 1 stands for."""


class Restorer(UNet):
    """1.5 M parameters, 74 GFLOP a megapixel."""

    def __init__(
        self,
        widths: tuple[int, ...] = (32, 64, 96, 128),
        down_blocks: tuple[int, ...] = (1, 2, 2, 2),
        up_blocks: tuple[int, ...] = (1, 1, 1),
    ) -> None:
        super().__init__(12 + 3, 12, widths, down_blocks, up_blocks)

    def forward(self, picture: Tensor, levels: Tensor) -> Tensor:
        """The restored picture, not clipped.

        picture: (B, 3, H, W), 0..1, H and W multiples of 16. levels: (B, 3), noise, JPEG and blur,
        each 0..1 or BLIND. Returns (B, 3, H, W).
        """
        x = pixel_unshuffle(picture, 2)  # B 12 H/2 W/2
        planes = levels[:, :, None, None].expand(-1, -1, *x.shape[-2:]).to(x.dtype)
        return picture + pixel_shuffle(self.through(torch.cat([x, planes], dim=1)), 2)


@lru_cache(maxsize=4)
def between(detail: float, device: Device) -> Loaded:
    """The Restorer with weights between the faithful ones, detail 0, and those that invent texture, 1."""
    values = weights.load(CONTRACT.name)
    if detail:
        inventive = weights.load(DETAIL)
        values = {key: torch.lerp(value, inventive[key], detail) for key, value in values.items()}
    network = Restorer()
    network.load_state_dict(values)
    return Loaded(device.place(network), CONTRACT, device)
