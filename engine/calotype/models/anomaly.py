"""Anomaly: where a picture shows what a model got wrong, of which kind, and how badly; on a grid of 8 px.

Two networks say the same of a picture and share nothing: Anomaly, which repairs are chosen by, and Gate,
which has the last word on them and which nothing is ever optimised against.

Sources: learning to see faults that were laid into clean pictures, Zavrtanik, Kristan, Skočaj 2021 (DRAEM);
artefacts of generators as a map, Zhang et al. 2023 ("Perceptual Artifacts Localization for Image Synthesis
Tasks"); features of an encoder as evidence, Defard et al. 2021 (PaDiM); monotone calibration, Zadrozny and
Elkan 2002; why plain convolutions: docs/adr/0004-networks-of-plain-convolutions.md.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pixel_unshuffle

from calotype.models import encoder, weights
from calotype.models.contract import Contract
from calotype.models.unet import blocks

CELL_PX = 8

KINDS = (
    "noise",
    "blur",
    "jpeg",
    "ringing",
    "checkerboard",
    "seam",
    "bleed",
    "blob",
    "banding",
    "other",
)

CONTRACT = Contract(name="anomaly", multiple=32, halo_px=64, bytes_a_pixel=250)
GATE = Contract(name="anomaly-gate", multiple=16, halo_px=64, bytes_a_pixel=500)

DETAIL = 8.0
"""What is finer than 5 px is brought to the size of the rest."""

LOGIT_MAX = 8.0
STEPS = 65
"""Of the calibration, from -LOGIT_MAX to LOGIT_MAX."""


class Calibrated(nn.Module):
    """What both networks say, and how sure they are of it.

    curve: (STEPS,), 0..1, never falling: how often a cell is wrong whose logit lies there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("curve", torch.sigmoid(torch.linspace(-LOGIT_MAX, LOGIT_MAX, STEPS)))

    def likelihood(self, logits: Tensor) -> Tensor:
        """Of being wrong, 0..1, of logits of any shape."""
        curve: Tensor = self.curve  # type: ignore[assignment]
        place = (logits.float().clamp(-LOGIT_MAX, LOGIT_MAX) + LOGIT_MAX) * (STEPS - 1) / (2 * LOGIT_MAX)
        below = place.floor().long().clamp_max(STEPS - 2)
        return torch.lerp(curve[below], curve[below + 1], place - below)

    def judged(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """picture: (B, 3, H, W), 0..1, H and W multiples of 16. Returns, float32, at h = H / 8 and w = W / 8:
        the likelihood of being wrong, (B, 1, h, w), 0..1; severity, if so, (B, 1, h, w), 0..1; and the share
        of each of KINDS, (B, K, h, w), which add up to 1.
        """
        wrong, severity, kinds = self(picture).float().split([1, 1, len(KINDS)], dim=1)
        return self.likelihood(wrong), torch.sigmoid(severity), torch.softmax(kinds, dim=1)


class Anomaly(Calibrated):
    """0.7 M parameters, 43 GFLOP a megapixel: fine detail by itself, and what it belongs to by the shipped
    encoder, which sees the picture at half its sides: its features, their means and spreads in each cell.
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 48, 96)) -> None:
        super().__init__()
        half, quarter, eighth = widths
        self.stem = nn.Conv2d(24, half, 3, padding=1)
        self.fine = nn.Sequential(nn.Conv2d(half, quarter, 2, stride=2), blocks(quarter, 1))
        self.middle = nn.Conv2d(quarter, eighth, 2, stride=2)
        first, second, third, fourth, _ = encoder.WIDTHS
        self.near = nn.Conv2d(2 * first + 2 * second + third, eighth, 1)
        self.far = nn.Conv2d(fourth, eighth, 1)
        self.body = blocks(eighth, 3)
        self.head = _head(eighth)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits: being wrong, severity, kinds. picture: (B, 3, H, W). Returns (B, 2 + K, H / 8, W / 8)."""
        pixels = pixel_unshuffle(torch.cat([(picture - 0.45) / 0.25, _detail(picture)], dim=1), 2)
        own = self.middle(torch.relu(self.fine(torch.relu(self.stem(pixels)))))  # B 96 H/8 W/8
        with torch.no_grad():
            first, second, third, far = encoder.shipped(picture.device)(avg_pool2d(picture, 2), 4)
            seen = [*_mean_and_spread(first, 4), *_mean_and_spread(second, 2), third]
        near = self.near(torch.cat([each.to(own) for each in seen], dim=1))
        far = interpolate(self.far(far.to(own)), own.shape[2:], mode="bilinear")
        logits: Tensor = self.head(self.body(torch.relu(own + near + far)))
        return logits


class Gate(Calibrated):
    """0.5 M parameters on the shipped encoder's features, their means in each cell and their spread, and on
    fine detail, without the tones and colours that it lies on.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        fine, second, third, fourth, _ = encoder.WIDTHS
        self.own = nn.Sequential(
            nn.Conv2d(12, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 48, 2, stride=2),
            blocks(48, 1),
            nn.ReLU(),
            nn.Conv2d(48, width, 2, stride=2),
        )
        self.squeeze = nn.Conv2d(2 * fine + 2 * second + third + fourth, width, 1)
        self.body = blocks(width, 2)
        self.head = _head(width)

    def forward(self, picture: Tensor) -> Tensor:
        """As Anomaly's."""
        with torch.no_grad():
            fine, second, third, fourth = encoder.shipped(picture.device)(picture, 4)
            seen = [*_mean_and_spread(fine, 8), *_mean_and_spread(second, 4), avg_pool2d(third, 2), fourth]
        own = self.own(pixel_unshuffle(_detail(picture), 2))
        felt = self.squeeze(torch.cat([each.to(own) for each in seen], dim=1))
        logits: Tensor = self.head(self.body(torch.relu(own + felt)))
        return logits


def _head(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 2 + len(KINDS), 1)
    )


def _detail(picture: Tensor) -> Tensor:
    smooth = picture
    for size, rim in (((5, 1), (2, 0)), ((1, 5), (0, 2))):  # a third of the time of 5 x 5 at once
        smooth = avg_pool2d(smooth, size, 1, rim, count_include_pad=False)
    return DETAIL * (picture - smooth)


def _mean_and_spread(x: Tensor, side: int) -> tuple[Tensor, Tensor]:
    mean = avg_pool2d(x.float(), side)
    return mean, (avg_pool2d(x.float().square(), side) - mean.square()).clamp_min(1e-8).sqrt()


@lru_cache(maxsize=4)
def shipped(contract: Contract, device: torch.device) -> Calibrated:
    """CONTRACT's or GATE's network, trained. Raises CalotypeError BAD_WEIGHTS."""
    network: Calibrated = Gate() if contract == GATE else Anomaly()
    network.load_state_dict(weights.load(contract.name))
    placed = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed.requires_grad_(False).eval()
