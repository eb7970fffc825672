"""Recipe of one style: the row, and as much of the Painter as the level lets it change.

Photos that come with Calotype are painted, and what is painted is held against what is known of the style's
pictures: content as in AdaIN, means under the covariance and covariances as in Gatys (models.distances).
Sources: training for one style at the speed of one pass, Johnson, Alahi, Fei-Fei 2016; only few parameters of
a trained network, Hu et al. 2022 (LoRA); a new style as a row, Dumoulin, Shlens, Kudlur 2017.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import Dataset

from calotype.image import chroma as chromas
from calotype.models import device as devices
from calotype.models import distances, dual, encoder
from calotype.models.manner import Last, Manner
from calotype.models.painter import Painter, framed, merged
from calotype.portfolio import stylefile
from calotype.train import data
from calotype.train.recipe import Batch, Objective, Sheet
from calotype.train.windows import Window
from calotype_wire import atomic

PHOTOS = Path(__file__).parent.parent / "photos"
TRAIN, HELD_OUT = PHOTOS / "train", PHOTOS / "held-out"
"""Public domain, from scikit-image."""

SIDE_PX = 128
SCALE_MIN = 0.4
JUDGED_PX = 192

CONTENT = 0.5
"""Weight of the content beside the style's 1."""

ROW_RATE = 5.0
"""The row learns so much faster than the weights."""


@dataclass(frozen=True)
class Level:
    """seconds: of training, on two cores. learning_rate: of the weights."""

    label: str
    seconds: float
    learning_rate: float


LEVELS = {
    "instant": Level("Instant: the network foretells it", 0, 0),
    "standard": Level("Standard: a minute", 57, 4e-3),  # the process that learns takes three to start
    "fine": Level("Fine: five minutes", 300, 1e-3),
    "best": Level("Best: fifteen minutes", 900, 1e-3),
}
SCRATCH = "scratch"
"""As 'best', but from nothing: what the benchmark compares with."""


@dataclass(frozen=True)
class Lesson:
    """What there is to learn: statistics of the pictures, of which the pictures themselves are no part.

    manner: with its row foretold. sources: what the pictures are called.
    """

    manner: Manner
    last: Last
    sources: tuple[str, ...]

    @classmethod
    def of(cls, windows: list[Window], sources: tuple[str, ...], network: dual.Dual) -> "Lesson":
        """The windows' statistics, pooled by their weights. network: on any device."""
        judge = encoder.shipped(next(network.parameters()).device)
        pooled: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            for window in windows:
                picture, share = (
                    x.to(next(judge.parameters()).device) for x in (window.picture, window.share)
                )
                for k, (mean, around) in enumerate(
                    distances.moments(judge(picture[None]), share[None, None])
                ):
                    second = around + mean[:, :, None] * mean[:, None, :]
                    part = window.weight * mean.cpu(), window.weight * second.cpu()
                    if k < len(pooled):
                        pooled[k] = pooled[k][0] + part[0], pooled[k][1] + part[1]
                    else:
                        pooled.append(part)
        moments = [(mean, second - mean[:, :, None] * mean[:, None, :]) for mean, second in pooled]
        mean, around = moments.pop()
        last = mean, around.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
        return cls(Manner.foretold(moments, last, network), last, sources)

    def save(self, path: Path) -> None:
        tensors = {"row": self.manner.row, "mean4": self.last[0], "deviation4": self.last[1]}
        for k, (mean, around) in enumerate(self.manner.moments):
            tensors |= {f"mean{k}": mean.contiguous(), f"around{k}": around.contiguous()}
        atomic.write(path, save(tensors), 0o644)
        names = json.dumps(self.sources, ensure_ascii=False)
        atomic.write(path.with_suffix(".json"), names.encode(), 0o644)

    @classmethod
    def load(cls, path: Path) -> "Lesson":
        """Raises OSError, ValueError or KeyError where it cannot be read."""
        try:
            known = load_file(path)
        except SafetensorError as error:
            raise ValueError(str(error)) from error
        stages = range(len(stylefile.ENCODER) - 1)
        moments = [(known[f"mean{k}"], known[f"around{k}"]) for k in stages]
        sources = tuple(json.loads(path.with_suffix(".json").read_text("utf-8")))
        return cls(Manner(known["row"], moments), (known["mean4"], known["deviation4"]), sources)

    def same(self, other: "Lesson") -> bool:
        return self.sources == other.sources and torch.allclose(self.manner.row, other.manner.row, atol=1e-4)


class Pupil(nn.Module):
    """The parameters that one style has for itself; all else is Dual's, and stays as it is."""

    def __init__(self, row: Tensor, level: str, changes: Mapping[str, Tensor] | None = None) -> None:
        """row: (1, ROW), where it starts. changes: of a learnt style, instead of the level's start."""
        super().__init__()
        self.register_buffer("start", row.clone())
        self.moved = nn.Parameter(torch.zeros_like(row))
        weights = _weights(level) if changes is None else changes
        self.weights = nn.ParameterDict({_key(name): nn.Parameter(value) for name, value in weights.items()})

    @property
    def row(self) -> Tensor:
        start: Tensor = self.start  # type: ignore[assignment]
        return start + ROW_RATE * self.moved  # so it moves as with a rate of its own

    def changes(self) -> dict[str, Tensor]:
        return {name.replace("|", "."): value for name, value in self.weights.items()}

    def forward(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """The painting, (B, 3, H, W), not clipped."""
        painter, weights = _painter(str(luma.device))
        made, _ = functional_call(painter, merged(weights, self.changes()), (luma, chroma, self.row))
        picture: Tensor = made
        return picture


def _key(name: str) -> str:
    return name.replace(".", "|")  # modules must not have dots in the names of their parameters


def _weights(level: str) -> dict[str, Tensor]:
    """What is trained beside the row, as it starts."""
    if level == "instant":
        return {}
    if level == "standard":
        return _adapters()
    source = Painter(dual.Dual()).state_dict() if level == SCRATCH else _painter("cpu")[1]
    kept = "decoder." if level == "fine" else ""
    return {name: value.clone() for name, value in source.items() if name.startswith(kept)}


def _adapters() -> dict[str, Tensor]:
    """They change nothing at first."""
    found = {}
    for name, shape in stylefile.shapes("standard").items():
        if name.endswith(".down"):
            found[name] = torch.randn(shape) / (shape[1] * shape[2] * shape[3]) ** 0.5
        elif name.endswith(".up"):
            found[name] = torch.zeros(shape)
    return found


_painters: dict[str, tuple[Painter, dict[str, Tensor]]] = {}


def _painter(device: str) -> tuple[Painter, dict[str, Tensor]]:
    """The shipped one, and its weights held still."""
    if device not in _painters:
        painter = Painter(dual.shipped(devices.named(device)))
        with torch.inference_mode(False):  # whoever asks first, it can be learnt with
            weights = {key: value.detach().clone() for key, value in painter.state_dict().items()}
        _painters[device] = painter, weights
    return _painters[device]


@dataclass(frozen=True)
class StyleRecipe:
    """content: weight of the content's loss beside the style's. level: one of LEVELS, or SCRATCH."""

    lesson: Lesson
    level: str = "standard"
    content: float = CONTENT
    name: str = "style"
    batch_size: int = 4
    learning_rate: float = LEVELS["standard"].learning_rate

    def network(self) -> nn.Module:
        row = self.lesson.manner.row
        return Pupil(torch.zeros_like(row) if self.level == SCRATCH else row, self.level)

    def companions(self) -> nn.Module:
        return nn.ModuleList()

    def objectives(self, network: nn.Module, companions: nn.Module) -> list[Objective]:
        return [Objective("loss", network, partial(self.losses, network))]

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        content, style = self.judged(network, batch["photo"])
        return {"content": self.content * content, "style": style}

    def judged(self, network: nn.Module, photo: Tensor) -> tuple[Tensor, Tensor]:
        """Distances of content and style. photo: (B, 3, H, W), 0..1."""
        judge = encoder.shipped(photo.device)
        with torch.no_grad():
            wanted = judge(photo)[distances.CONTENT_STAGES]
        seen = judge(network(*chromas.split(photo)).float())
        content = distances.content(seen[distances.CONTENT_STAGES], wanted)
        moments = [(m.to(photo.device), a.to(photo.device)) for m, a in self.lesson.manner.moments]
        return content, distances.style_apart(distances.moments(seen[distances.STYLE_STAGES]), moments)

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        return data.Crops(folder, SIDE_PX, seed, lambda crop, rng: {"photo": data.tensor(crop)}, SCALE_MIN)

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """Distances on the middle of photos that are held out."""
        device = next(network.parameters()).device
        found = []
        for photo in _held_out(folder):
            with devices.named(str(device)).precision():
                found.append(torch.stack(self.judged(network, photo.to(device))))
        content, style = torch.stack(found).mean(0).tolist()
        return {"content": content, "style": style, "score": -self.content * content - style}

    def samples_sheet(self, network: nn.Module, folder: Path) -> Sheet:
        return [(photo[0], painted(network, photo)[0]) for photo in _held_out(folder)]


def _held_out(folder: Path) -> Iterator[Tensor]:
    for path in data.photos(folder, JUDGED_PX):
        yield data.tensor(data.centre(data.pixels(path), JUDGED_PX))[None]


def painted(network: nn.Module, photo: Tensor) -> Tensor:
    """photo: (1, 3, H, W), sides multiples of 16. Returns the same, 0..1, on the CPU."""
    device = next(network.parameters()).device
    with torch.no_grad(), devices.named(str(device)).precision():
        made = framed(lambda picture: network(*chromas.split(picture)), photo.to(device))
    return made.float().cpu().clamp(0, 1)


def judged(learnt: Manner, folder: Path, device: str) -> dict[str, float]:
    """A style's distances on the photos of folder, as in its training."""
    nothing = learnt.row[:, :0]
    pupil = Pupil(learnt.row, "instant", learnt.changes)
    recipe = StyleRecipe(Lesson(learnt, (nothing, nothing), ()), "instant")
    return recipe.evaluate(pupil.to(device).eval(), folder)


def changed(lesson: Lesson, weights: Mapping[str, Tensor], level: str) -> Manner:
    """What a run has learnt. weights: its best."""
    pupil = Pupil(lesson.manner.row, level)
    pupil.load_state_dict(weights)
    return Manner(
        pupil.row.detach(), lesson.manner.moments, {k: v.detach() for k, v in pupil.changes().items()}
    )
