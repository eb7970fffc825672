"""Critics for adversarial training: how real each part of a picture looks. Never shipped, never exported.

Sources: Isola et al. 2017 (PatchGAN); Schonfeld, Schiele, Khoreva 2020 (a U-Net whose opinion is one of
every pixel) in the shape of Wang et al. 2021 (Real-ESRGAN); Miyato et al. 2018 (spectral norm). The U-Net
looks at a pixel-unshuffled picture, as our other networks do, for a quarter of the cost.
"""

from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, pixel_shuffle, pixel_unshuffle
from torch.nn.utils.parametrizations import spectral_norm


def _conv(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Module:
    padding = 1  # 4 x 4 with stride 2 halves the sides, 3 x 3 keeps them
    return spectral_norm(nn.Conv2d(inputs, outputs, side, stride, padding, bias=False))


class PatchDiscriminator(nn.Module):
    """1.0 M parameters. One opinion of each patch of about 70 pixels."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, 2, 1)
        self.body = nn.ModuleList(
            [
                _conv(width, 2 * width, 4, 2),
                _conv(2 * width, 4 * width, 4, 2),
                _conv(4 * width, 4 * width, 4, 1),
            ]
        )
        self.tail = nn.Conv2d(4 * width, 1, 4, 1, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """picture: (B, 3, H, W), 0..1, sides of 32 or more. Returns (B, 1, H/8 - 2, W/8 - 2)."""
        x = leaky_relu(self.stem(picture), 0.2)
        for conv in self.body:
            x = leaky_relu(conv(x), 0.2)
        opinion: Tensor = self.tail(x)
        return opinion


class UNetDiscriminator(nn.Module):
    """1.1 M parameters, 54 GFLOP a megapixel. One opinion of each pixel, by what surrounds it."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(12, width, 3, padding=1)
        self.down = nn.ModuleList(_conv(width << k, width << k + 1, 4, 2) for k in range(3))
        self.up = nn.ModuleList(_conv(width << k + 1, width << k, 3) for k in range(3))
        self.last = _conv(width, width, 3)
        self.tail = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        """picture: (B, 3, H, W), 0..1, H and W multiples of 16. Returns (B, 1, H, W)."""
        x = leaky_relu(self.stem(pixel_unshuffle(picture, 2)), 0.2)  # B width H/2 W/2
        skips = []
        for conv in self.down:
            skips.append(x)
            x = leaky_relu(conv(x), 0.2)
        for conv in reversed(self.up):
            x = interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = leaky_relu(conv(x), 0.2) + skips.pop()
        return pixel_shuffle(self.tail(leaky_relu(self.last(x), 0.2)), 2)
