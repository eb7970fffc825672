"""Compact: a small upscaler of plain 3x3 convolutions at the picture's own size.

Sources:
- The network, its name and the names of its weights: SRVGGNetCompact, Wang et al. 2021 ("Real-ESRGAN").
- Colours rearranged into pixels at the very end: Shi et al. 2016 (ESPCN).
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle

from calotype.models.contract import Contract


class Compact(nn.Module):
    """features 48, convs 8, scale 2: 0.17 M parameters; 64, 16, 4: 0.62 M."""

    def __init__(self, features: int = 48, convs: int = 8, scale: int = 2) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        for inputs in [3] + [features] * convs:
            layers += [nn.Conv2d(inputs, features, 3, padding=1), nn.PReLU(features)]
        self.body = nn.Sequential(*layers, nn.Conv2d(features, 3 * scale**2, 3, padding=1))
        for layer in layers:  # else what goes in is lost on the way through a deep plain network
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=0.25)

    def forward(self, picture: Tensor) -> Tensor:
        """The enlarged picture, not clipped.

        picture: (B, 3, H, W), 0..1. Returns (B, 3, scale H, scale W).
        """
        detail = pixel_shuffle(self.body(picture), self.scale)
        return interpolate(picture, scale_factor=float(self.scale), mode="nearest") + detail


def contract(name: str, features: int = 48, convs: int = 8, scale: int = 2) -> Contract:
    halo_px = convs + 2  # each 3x3 convolution sees one pixel further
    bytes_a_pixel = 4 * (2 * features + 9 * scale**2)  # what goes into a layer and comes out, and the result
    return Contract(name, multiple=1, halo_px=halo_px, bytes_a_pixel=bytes_a_pixel, scale=scale)


def shaped_as(tensors: Mapping[str, Tensor]) -> tuple[int, int, int] | None:
    """(features, convs, scale) of the Compact whose weights these are, or None where they are another's."""
    count = len({key.split(".")[1] for key in tensors if key.startswith("body.")})
    last = f"body.{count - 1}.weight"
    if count < 3 or count % 2 == 0 or "body.0.weight" not in tensors or last not in tensors:
        return None
    features, convs = tensors["body.0.weight"].shape[0], (count - 3) // 2
    scale = round((tensors[last].shape[0] / 3) ** 0.5)
    if not (1 <= scale <= 4 and 1 <= features <= 1024 and convs <= 256):
        return None
    expected: dict[str, tuple[int, ...]] = {f"body.{2 * i}.bias": (features,) for i in range(convs + 1)}
    expected |= {f"body.{2 * i}.weight": (features, features, 3, 3) for i in range(convs + 1)}
    expected |= {f"body.{2 * i + 1}.weight": (features,) for i in range(convs + 1)}
    expected |= {"body.0.weight": (features, 3, 3, 3), last: (3 * scale**2, features, 3, 3)}
    expected |= {f"body.{count - 1}.bias": (3 * scale**2,)}
    if {key: tuple(tensor.shape) for key, tensor in tensors.items()} != expected:
        return None
    return features, convs, scale
