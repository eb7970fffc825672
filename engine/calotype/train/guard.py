"""Says when training has gone astray, so that the loop can go back to where it had not.

Sources: a loss far above its running median as the sign of divergence, and going back to a checkpoint with
other data, Chowdhery et al. 2022 (PaLM, 5.1); a critic that is sure of all real pictures as the sign that
adversarial training is lost, Karras et al. 2020 (ADA: the heuristic r_t = E[sign(D)] -> 1), here with a
margin, and only while its opinion of what the network makes still falls. The contrary, a critic that was
beaten before it had learnt anything, was seen in our own trainings.
"""

import math
from collections import deque
from statistics import fmean, median

from calotype.train.recipe import Standing

FAR = 10.0
"""A loss so many times above its running median is far away."""

FAR_STEPS = 50
"""Steps in a row after which it does not come back by itself."""

MEDIAN_STEPS = 200

LEAD = 0.99
"""Mean lead over a whole window at which a critic teaches nothing any more."""

BLIND = 0.01
"""Mean distance of its opinions below which a critic tells nothing apart."""

CRITIC_STEPS = 1000


class Guard:
    """Watches one run; forget() after a rollback."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.losses: deque[float] = deque(maxlen=MEDIAN_STEPS)
        self.standings: deque[Standing] = deque(maxlen=CRITIC_STEPS)
        self.far = 0

    @property
    def calm(self) -> bool:
        """Whether this is a state to go back to."""
        half = CRITIC_STEPS // 2
        recent = list(self.standings)[-half:]
        return self.far == 0 and (len(recent) < half or not (_lost(recent) or _blind(recent)))

    def trouble(self, losses: list[float], gradients: list[float], standing: Standing | None) -> str | None:
        """What is wrong after a step, as the middle of a sentence; None where nothing is.

        losses, gradients: each objective's loss, and norm of its gradient; the first is the network's.
        """
        if not all(map(math.isfinite, losses)):
            return "the loss was not a number"
        if not all(map(math.isfinite, gradients)):
            return "a gradient was not a number"
        settled = len(self.losses) >= FAR_STEPS
        usual = median(self.losses) if settled else 0.0
        self.far = self.far + 1 if settled and losses[0] > FAR * abs(usual) else 0
        if self.far >= FAR_STEPS:
            return f"the loss stayed {FAR:g} times above its usual {usual:.3g} for {FAR_STEPS} steps"
        if not self.far:  # what is far away must not become the usual
            self.losses.append(losses[0])
        if standing:
            self.standings.append(standing)
        if len(self.standings) < CRITIC_STEPS:
            return None
        if _lost(list(self.standings)):
            return f"the critic has told every real picture from a made one for {CRITIC_STEPS} steps"
        if _blind(list(self.standings)):
            return f"the critic has told no real picture from a made one for {CRITIC_STEPS} steps"
        return None


def _lost(standings: list[Standing]) -> bool:
    """Whether the critic leads everywhere and thinks less and less of what is made."""
    half = len(standings) // 2
    falls = fmean(s.score for s in standings[half:]) < fmean(s.score for s in standings[:half])
    return fmean(s.lead for s in standings) >= LEAD and falls


def _blind(standings: list[Standing]) -> bool:
    """Whether the real and the made are all one to the critic."""
    return fmean(abs(s.score) for s in standings) < BLIND
