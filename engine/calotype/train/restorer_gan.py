"""Recipe of the Restorer, stage B: detail. From stage A's weights on, L1, perceptual and adversarial loss.

Sources: the three losses and interpolation with the faithful weights, Wang et al. 2018 (ESRGAN); a U-Net
critic with spectral norm, Wang et al. 2021 (Real-ESRGAN).

At one rate for both the critic was beaten before it had learnt anything, and stayed at ln 2; five times as
fast, and with less momentum, it gains its lead (docs/adr/0010-detail-is-a-second-set-of-weights.md).

The weights keep faces as they are: at a perceptual weight of 1, as in Real-ESRGAN, that loss would outweigh
the pixels many times over, since our features differ more than VGG's where little is to be seen.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from calotype.image.metrics import psnr
from calotype.models import encoder, restorer, weights
from calotype.train import bout, data, losses
from calotype.train.recipe import Batch, Objective, Sheet
from calotype.train.restorer import sample, trials


@dataclass(frozen=True)
class RestorerDetailRecipe:
    """pixels, structural, perceptual, adversarial: weights of the losses; 0 leaves one out, with its cost.

    critic: one of bout.CRITICS. contest: how it and the network are pitted, one of bout.CONTESTS.
    """

    pixels: float = 1.0
    structural: float = 0.0
    perceptual: float = 0.2
    adversarial: float = 0.1
    critic: str = "unet"
    contest: str = "relativistic"
    name: str = "restorer-detail"
    batch_size: int = 8
    patch_px: int = 128
    learning_rate: float = 4e-5

    def network(self) -> nn.Module:
        network = restorer.Restorer()
        network.load_state_dict(weights.load(restorer.CONTRACT.name))
        return network

    def companions(self) -> nn.Module:
        return bout.CRITICS[self.critic]() if self.adversarial else nn.ModuleList()

    def objectives(self, network: nn.Module, companions: nn.Module) -> list[Objective]:
        fight = bout.Bout(companions, self.contest)
        maker = Objective("loss", network, partial(self.losses, network, fight))
        return [maker, fight.objective()] if self.adversarial else [maker]

    def losses(self, network: nn.Module, fight: bout.Bout, batch: Batch) -> dict[str, Tensor]:
        made, clean = network(batch["worn"], batch["levels"]).float(), batch["clean"]
        terms = {"pixels": self.pixels * (made - clean).abs().mean()}
        if self.structural:
            terms["structural"] = self.structural * losses.structural(made, clean)
        if self.perceptual:
            terms["perceptual"] = self.perceptual * losses.perceptual(self.encoder(made.device), made, clean)
        if self.adversarial:
            terms["adversarial"] = self.adversarial * fight.fooled(made, clean)
        return terms

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        return data.Crops(folder, self.patch_px, seed, sample)

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """Perceptual distance and PSNR as of the Restorer's recipe; the score is the negative distance."""
        device = next(network.parameters()).device
        apart: list[float] = []
        gained: dict[str, list[float]] = {}
        for name, _, restored, clean in trials(network, folder):
            distance = losses.perceptual(self.encoder(device), restored.to(device), clean.to(device))
            apart.append(distance.item())
            gained.setdefault(f"psnr_{name}", []).append(psnr(restored, clean))
        figures = {name: float(np.mean(values)) for name, values in gained.items()}
        return figures | {"distance": float(np.mean(apart)), "score": -float(np.mean(apart))}

    def samples_sheet(self, network: nn.Module, folder: Path) -> Sheet:
        return [(worn[0], restored[0], clean[0]) for _, worn, restored, clean in trials(network, folder, 3)]

    def encoder(self, device: torch.device) -> nn.Module:
        return encoder.shipped(device)
