"""Style files for tests, made without any training."""

import json
from functools import lru_cache
from pathlib import Path

import torch
from skimage import data as photos

from calotype.models import dual, encoder, painter
from calotype.models.device import Device
from calotype.models.manner import Manner
from calotype.ops.train_style import thumbnail
from calotype.portfolio.stylefile import Card
from calotype.train import windows
from calotype.train.style import Lesson, Pupil
from calotype.train.windows import Subject

CPU = Device("cpu", torch.float32)


def picture() -> torch.Tensor:
    """(3, 256, 256), 0..1."""
    return torch.from_numpy(photos.immunohistochemistry()[:256, :256].copy()).permute(2, 0, 1) / 255


@lru_cache(maxsize=1)
def lesson() -> Lesson:
    seen = windows.chosen(
        [Subject(picture(), torch.ones(256, 256), "cells")], encoder.shipped(torch.device("cpu"))
    )
    return Lesson.of(seen, ("cells",), dual.shipped(CPU))


def manner(level: str = "standard", strength: float = 0.05) -> Manner:
    """A style that changes the network a little, at random."""
    torch.manual_seed(0)
    pupil = Pupil(lesson().manner.row, level)
    changes = {name: value.detach().clone() for name, value in pupil.changes().items()}
    for name, value in changes.items():
        if name.endswith(".up"):
            value.normal_(0, strength)
        elif not name.endswith(".down"):
            value.add_(strength * value.std(correction=0) * torch.randn(value.shape))
    return Manner(lesson().manner.row, lesson().manner.moments, changes)


@lru_cache(maxsize=4)
def file(level: str = "standard", **card: str) -> bytes:
    """A whole style file."""
    network = dual.shipped(CPU)
    known = {"network": painter.fingerprint(network), "made": "2026-11-29T12:00:00+00:00", **card}
    told = Card(level, ("cells",), seconds=1.5, steps=7, content=0.4, style=0.5, engine="test", **known)
    learnt = manner(level)
    return learnt.to_file(lesson().last, told, thumbnail(learnt, network))


def hurry(plan: Path, seconds: int) -> None:
    """Let an unfinished training end so soon."""
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "seconds": seconds}))


def shapes_of_the_network() -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in painter.Painter(dual.Dual()).state_dict().items()}
