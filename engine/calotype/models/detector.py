"""Detector: which pixels of a photo are scratches, dust, hairs, folds or lost emulsion.

Sources: a U-Net that marks defects of old photos, Wan et al. 2020 ("Bringing Old Photos Back to
Life"); pixel-unshuffled input for speed, Zhang, Zuo, Zhang 2018 (FFDNet).
"""

from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from calotype.models.contract import Contract
from calotype.models.unet import UNet

CONTRACT = Contract(name="detector", multiple=16, halo_px=64, bytes_a_pixel=250)


class Detector(UNet):
    """1.0 M parameters, 41 GFLOP a megapixel."""

    def __init__(
        self,
        widths: tuple[int, ...] = (24, 48, 80, 112),
        down_blocks: tuple[int, ...] = (1, 1, 2, 2),
        up_blocks: tuple[int, ...] = (1, 1, 1),
    ) -> None:
        super().__init__(12, 4, widths, down_blocks, up_blocks)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits of being a defect.

        picture: (B, 3, H, W), 0..1, H and W multiples of 16. Returns (B, 1, H, W).
        """
        return pixel_shuffle(self.through(pixel_unshuffle(picture, 2)), 2)
