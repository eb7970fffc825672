"""Recipe of Dual: both tasks in every step, on one encoder.

Colours: Huber on chroma and the earth mover's distance of its histogram. Styles: what is seen stays (features
after instance norm), how it is painted becomes the painting's (means under the covariance, covariances).
The weights of the four are fields, so that each can be left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, huber_loss
from torch.utils.data import Dataset

from calotype import stylebook
from calotype.image import chroma as chromas
from calotype.image.metrics import colourfulness, psnr
from calotype.models import device as devices
from calotype.models import distances, dual, encoder
from calotype.train import bout, data, degradations, hints, losses
from calotype.train.recipe import Batch, Objective, Sheet
from calotype_wire.errors import CalotypeError

SIDE_PX = 160
JUDGED_PX = 256
"""Side of what is trained on, and of what is judged."""

SCALE_MIN = 0.45
"""Photos are shown so much reduced at most: what is coloured is seen whole, on few pixels."""

Features = list[Tensor]
OFTEN = 0.7
"""Share of paintings that are of the catalogue: these must be right, all others near."""

CHROMA = 0.05
"""Distance of chroma below which the Huber loss is a square."""


@dataclass(frozen=True)
class DualRecipe:
    """styles: folder of paintings. colour, histogram, content, style, adversarial: weights of the losses; 0
    leaves one out, with its cost. The critic sees coloured photos, not paintings.
    """

    styles: Path | None = None
    colour: float = 10.0
    histogram: float = 7.0
    content: float = 0.8
    style: float = 1.0
    adversarial: float = 0.0
    name: str = "dual"
    batch_size: int = 16
    painted: int = 4
    learning_rate: float = 6e-4

    def network(self) -> nn.Module:
        return dual.Dual()

    def companions(self) -> nn.Module:
        return bout.CRITICS["patch"]() if self.adversarial else nn.ModuleList()

    def objectives(self, network: nn.Module, companions: nn.Module) -> list[Objective]:
        assert isinstance(network, dual.Dual)
        fight = bout.Bout(companions, "hinge")
        maker = Objective("loss", network, partial(self.losses, network, fight))
        return [maker, fight.objective()] if self.adversarial else [maker]

    def losses(self, network: dual.Dual, fight: bout.Bout, batch: Batch) -> dict[str, Tensor]:
        terms = {}
        told_of = batch["hints"], batch["known"], batch["palette"]
        features = network.encoder(batch["seen"], *told_of[:2])
        told = network.told(features, *told_of).float()
        if self.colour or self.histogram:
            truth = batch["chroma"]
            terms["colour"] = self.colour * huber_loss(told, truth, delta=CHROMA) / CHROMA
            spread = losses.histogram_distance(avg_pool2d(told, 4), avg_pool2d(truth, 4))
            terms["histogram"] = self.histogram * spread
        if self.adversarial:
            real, made = (chromas.join(batch["luma"], chroma) for chroma in (batch["chroma"], told))
            terms["adversarial"] = self.adversarial * fight.fooled(made, real)
        if self.content or self.style:
            photo, half = slice(0, self.painted), self.painted // 2  # the first are grey, painted as told
            judge = encoder.shipped(batch["luma"].device)
            luma, chroma = batch["luma"][photo], batch["chroma"][photo]
            with torch.no_grad():
                wanted, painting = judge(chromas.join(luma, chroma)), judge(batch["painting"][photo])
            row = network.row_of(painting)
            seen = network.encoder.shallow(luma[half:], chroma[half:], torch.ones_like(luma[half:]))
            made, _ = network.style(torch.cat([features[1][:half], seen[1]]), row)
            content, style = judged(judge(made.float()), wanted, painting)
            terms |= {"content": self.content * content, "style": self.style * style}
        return terms

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        paintings = data.photos(self.styles, JUDGED_PX) if self.styles else []
        if not paintings and (self.content or self.style):
            raise CalotypeError("BAD_PARAMETER", "Say where paintings are: --styles FOLDER.")
        known = {style.painting for style in stylebook.catalogue()}
        often = [path for path in paintings if path.name in known] or paintings
        make = partial(sample, paintings=paintings, often=often)
        return data.Crops(folder, SIDE_PX, seed, make, SCALE_MIN)

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """Of what the recipe trains: dB on the centre 256 px of 48 photos, and how colourful they are beside
        the truth; distances of content and style.
        """
        assert isinstance(network, dual.Dual)
        figures: dict[str, float] = {}
        score = 0.0
        if self.colour or self.histogram:
            figures |= self._judge_colours(network, folder)
            score += figures["psnr_automatic"] + figures["psnr_palette"] + figures["psnr_hints"]
        if self.styles and (self.content or self.style):
            styled = self._judge_styles(network, folder, self.styles)
            figures |= styled
            score -= sum(styled.values())
        return figures | {"score": score}

    def _judge_colours(self, network: dual.Dual, folder: Path) -> dict[str, float]:
        found: dict[str, list[float]] = {}
        for clean, results in trials(network, folder, 48):
            for name, result in results.items():
                found.setdefault(f"psnr_{name}", []).append(psnr(result, clean))
            ratio = colourfulness(results["automatic"]) / max(colourfulness(clean), 0.02)
            found.setdefault("colourful", []).append(ratio)
        return {name: float(np.mean(values)) for name, values in found.items()}

    def _judge_styles(self, network: dual.Dual, folder: Path, styles: Path) -> dict[str, float]:
        """Content and style distance, of a photo and a painting each."""
        found = []
        for clean, made, painting in stylised(network, folder, styles, 16):
            judge = encoder.shipped(torch.device("cpu"))
            found.append(torch.stack(judged(*map(judge, (made, clean, painting)))))
        content, style = torch.stack(found).mean(0).tolist()
        return {"content": content, "style": style}

    def samples_sheet(self, network: nn.Module, folder: Path) -> Sheet:
        assert isinstance(network, dual.Dual)
        rows: Sheet = [
            tuple(x[0] for x in (*results.values(), clean)) for clean, results in trials(network, folder, 8)
        ]
        if self.styles:
            for clean, made, painting in stylised(network, folder, self.styles, 8):
                luma = chromas.split(clean)[0].expand(-1, 3, -1, -1)
                rows.append(tuple(x[0] for x in (luma, clean, painting, made.clamp(0, 1), clean)))
        return rows


def judged(seen: Features, photo: Features, painting: Features) -> tuple[Tensor, Tensor]:
    """Of content and of style, of what was made of a photo after a painting."""
    content = distances.content(seen[distances.CONTENT_STAGES], photo[distances.CONTENT_STAGES])
    return content, distances.style(seen[distances.STYLE_STAGES], painting[distances.STYLE_STAGES])


def trials(network: dual.Dual, folder: Path, count: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Of each photo: the truth, and the results by what the network was told, all (1, 3, 256, 256)."""
    device = next(network.parameters()).device
    for index, path in enumerate(data.photos(folder, JUDGED_PX)[:count]):
        rng = np.random.default_rng(index)
        clean = data.tensor(data.centre(data.pixels(path), JUDGED_PX))[None]
        luma, chroma = chromas.split(clean)
        nothing = hints.none(JUDGED_PX, JUDGED_PX)
        asked = {
            "automatic": (*nothing, hints.NO_PALETTE),
            "palette": (*nothing, hints.palette(chroma[0], 5, rng)),
            "hints": (*hints.spread(luma[0], *hints.points(chroma[0], 20, rng)), hints.NO_PALETTE),
        }
        results = {"grey": luma.expand(-1, 3, -1, -1)}
        for name, given in asked.items():
            with devices.named(str(device)).precision():
                told = network.colour(luma.to(device), *(part[None].to(device) for part in given))
            results[name] = chromas.join(luma, told.float().cpu())
        yield clean, results


def stylised(
    network: dual.Dual, folder: Path, styles: Path, count: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Photo, result and painting, (1, 3, 256, 256)."""
    device = next(network.parameters()).device
    paintings = data.photos(styles, JUDGED_PX)
    for index, path in enumerate(data.photos(folder, JUDGED_PX)[:count]):
        clean, painting = (
            data.tensor(data.centre(data.pixels(p), JUDGED_PX))[None]
            for p in (path, paintings[index * 17 % len(paintings)])
        )
        luma, chroma = (part.to(device) for part in chromas.split(clean))
        with devices.named(str(device)).precision():
            row = network.row_of(encoder.shipped(device)(painting.to(device)))
            made, _ = network.stylise(luma, chroma, row)
        yield clean, made.float().cpu(), painting


def sample(
    clean: NDArray[np.float32], rng: Generator, paintings: list[Path], often: list[Path]
) -> dict[str, Tensor]:
    """What is to be coloured may be grainy and flat, as old photos are; its colours are true.

    often: the paintings of the catalogue, OFTEN drawn from.
    """
    luma, chroma = (part[0] for part in chromas.split(data.tensor(clean)[None]))
    seen = luma
    if rng.random() < 0.3:
        seen = torch.from_numpy(degradations.gaussian_noise(luma.numpy(), rng.uniform(1, 10), rng)).clamp(
            0, 1
        )
    if rng.random() < 0.3:
        low, high = rng.uniform(0, 0.15), rng.uniform(0.8, 1)
        seen = low + (high - low) * seen ** float(rng.uniform(0.7, 1.4))
    given, known, palette = hints.drawn(seen, chroma, rng)
    found = {"luma": luma, "seen": seen, "chroma": chroma, "hints": given, "known": known, "palette": palette}
    if paintings:
        choice = often if rng.random() < OFTEN else paintings
        path = choice[int(rng.integers(len(choice)))]
        found["painting"] = data.tensor(data.crop(data.pixels(path), SIDE_PX, rng))
    return found
