"""A network against a critic, on the same batch: what was made is made once.

Source: a critic that learns faster than its opponent, Heusel et al. 2017 (two time-scale update rule).
"""

import torch
from torch import Tensor, nn

from calotype.models.discriminators import PatchDiscriminator, UNetDiscriminator
from calotype.train import losses
from calotype.train.recipe import Batch, Objective, Standing

CRITICS = {"unet": UNetDiscriminator, "patch": PatchDiscriminator}
CONTESTS = {"relativistic": losses.relativistic, "hinge": losses.hinge_critic}

MARGIN = 1.0
"""A critic that holds the real so much above the made is sure."""

RATE, BETAS = 5.0, (0.5, 0.99)
"""The critic's learning rate beside the network's, and its optimizer's moments."""


class Bout:
    """contest: how critic and network are pitted, one of CONTESTS."""

    def __init__(self, critic: nn.Module, contest: str) -> None:
        self.critic = critic
        self.contest = contest

    def fooled(self, made: Tensor, real: Tensor) -> Tensor:
        """The network's loss: how well the critic tells made from real, both (B, 3, H, W)."""
        self.made, self.real = made.detach(), real
        if self.contest == "hinge":
            return losses.hinge_maker(self.critic(made))
        with torch.no_grad():
            opinion = self.critic(real)
        return losses.relativistic(self.critic(made), opinion)

    def objective(self) -> Objective:
        """The critic's, after the network's."""
        return Objective("critic", self.critic, self._judge, self._standing, RATE, BETAS)

    def _judge(self, batch: Batch) -> dict[str, Tensor]:
        real, made = self.critic(self.real).float(), self.critic(self.made).float()
        self.opinions = real.detach(), made.detach()
        return {"critic": CONTESTS[self.contest](real, made)}

    def _standing(self) -> Standing:
        real, made = self.opinions
        sure = torch.cat([real > made.mean() + MARGIN, made < real.mean() - MARGIN])
        return Standing(sure.float().mean().item(), (made.mean() - real.mean()).item())
