"""What a run tells: figures in log.csv, notes.txt, pictures in samples/; all in TensorBoard, if installed."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from calotype.train.checkpoint import State
from calotype.train.recipe import Sheet
from calotype_wire import atomic

GAP_PX = 4


class Journal:
    """Writes into run; the rows and notes themselves stay in the state, so that they resume with it."""

    def __init__(self, run: Path, state: State) -> None:
        self.run = run
        self.state = state
        if state.step and not state.rows:  # a checkpoint of before it held them
            state.rows = _rows(run / "log.csv")
        self.board = _board(run, state.step + 1)

    def row(self, figures: Mapping[str, float]) -> None:
        """figures: with their 'step'."""
        self.state.rows.append(dict(figures))
        columns = dict.fromkeys(key for row in self.state.rows for key in row)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(columns))
        writer.writeheader()
        writer.writerows(self.state.rows)
        atomic.write(self.run / "log.csv", text.getvalue().encode(), 0o644)
        if self.board:
            for key, value in figures.items():
                self.board.add_scalar(key, value, int(figures["step"]))
            self.board.flush()
        print(" ".join(f"{key}={value:.4g}" for key, value in figures.items()), flush=True)

    def note(self, sentence: str) -> None:
        self.state.notes.append(sentence)
        text = "".join(f"{note}\n" for note in self.state.notes)
        atomic.write(self.run / "notes.txt", text.encode(), 0o644)
        if self.board:
            self.board.add_text("notes", sentence, self.state.step)
            self.board.flush()
        print(sentence, flush=True)

    def sheet(self, rows: Sheet) -> None:
        picture = contact_sheet(rows)
        (self.run / "samples").mkdir(exist_ok=True)
        data = io.BytesIO()
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(data, "PNG")
        atomic.write(self.run / "samples" / f"{self.state.step}.png", data.getvalue(), 0o644)
        if self.board:
            self.board.add_image("samples", picture.numpy(), self.state.step)

    def close(self) -> None:
        if self.board:
            self.board.close()


def _board(run: Path, step: int) -> Any:
    """TensorBoard's writer, from that step on; None where the extra 'train' is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # two seconds to import: only when training
    except ImportError:
        return None
    return SummaryWriter(run, purge_step=step)


def _rows(log: Path) -> list[dict[str, float]]:
    if not log.exists():
        return []
    with log.open(newline="") as file:
        return [
            {key: int(value) if value.isdigit() else float(value) for key, value in row.items() if value}
            for row in csv.DictReader(file)
        ]


def contact_sheet(rows: Sheet) -> Tensor:
    """The pictures of a row side by side, the rows below each other, on grey.

    rows: pictures (3, H, W), 0..1, all of one size. Returns (3, height, width), uint8.
    """
    height, width = (side + GAP_PX for side in rows[0][0].shape[-2:])
    across = max(len(row) for row in rows)
    sheet = torch.full((3, len(rows) * height - GAP_PX, across * width - GAP_PX), 0.5)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            area = sheet[:, y * height :, x * width :]
            area[:, : height - GAP_PX, : width - GAP_PX] = picture.detach().float().cpu().clamp(0, 1)
    return torch.from_numpy(np.rint(sheet.numpy() * 255).astype(np.uint8))
