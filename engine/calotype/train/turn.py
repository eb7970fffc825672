"""One objective's part in every step: its loss, what lowers it, and the parameters that move."""

from dataclasses import dataclass

import torch
from torch import nn

from calotype.models import device as devices
from calotype.train.processes import Processes
from calotype.train.recipe import Batch, Objective


@dataclass(frozen=True)
class Turn:
    objective: Objective
    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer

    def hold(self, still: bool) -> None:
        """What is held still gets no gradient, and costs none."""
        for parameter in self.parameters:
            parameter.requires_grad_(not still)

    def take(self, batch: Batch, rate: float, processes: Processes) -> dict[str, float]:
        """Move the parameters by one step. Returns terms, their sum, the gradient's norm, the standing."""
        objective = self.objective
        for group in self.optimizer.param_groups:
            group["lr"] = rate * objective.rate
        with devices.named(processes.device).precision():
            terms = {key: term.float() for key, term in objective.loss(batch).items()}
        loss = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        processes.mean([p.grad for p in self.parameters if p.grad is not None])
        norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        figures = {key: term.item() for key, term in terms.items()}
        if objective.standing:
            standing = objective.standing()
            figures |= {"lead": standing.lead, "score_made": standing.score}
        return figures | {objective.name: loss.item(), f"{objective.name}_gradient": norm.item()}


def turn(objective: Objective, learning_rate: float) -> Turn:
    """AdamW on what can be trained of the objective's parts."""
    parameters = [parameter for parameter in objective.parts.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, learning_rate, objective.betas, weight_decay=1e-4)
    return Turn(objective, parameters, optimizer)
