"""The training loop: runs repeat, resume, go back when they go astray, and tell what happened."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.utils.data import default_collate

from calotype.models.detector import Detector
from calotype.train import guard, loop
from calotype.train.detector import DetectorRecipe
from calotype.train.guard import Guard
from calotype.train.journal import GAP_PX, contact_sheet
from calotype.train.recipe import Standing
from calotype_wire.errors import CalotypeError
from trainees import Bout, Line, SmallRestorer, Stopping, photo_folder, tensors_of

# tensorboard 2.21 reads a deprecated name of numpy's when it writes its first figure
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photo_folder(tmp_path_factory.mktemp("photos"))


def state_of(run: Path) -> dict[str, object]:
    with safe_open(run / "checkpoint.safetensors", "pt") as file:
        return json.loads(file.metadata()["state"])


def test_a_run_repeats_by_its_seed_and_resumes_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    recipe = SmallRestorer(batch_size=2, patch_px=64)

    def train(run: str, steps: int, seed: int = 0) -> dict[str, torch.Tensor]:
        # the learning rate depends on the run's length: keep that, and stop early
        loop.train(recipe, folder, folder, tmp_path / run, Stopping(8, steps), seed)
        return tensors_of(tmp_path / run, "network.")

    whole = train("whole", 8)
    again = train("again", 8)
    other = train("other", 8, seed=1)
    train("parts", 3)
    parts = train("parts", 8)
    assert all(torch.equal(whole[key], again[key]) for key in whole)
    assert not all(torch.equal(whole[key], other[key]) for key in whole)
    assert all(torch.allclose(whole[key], parts[key], atol=1e-6) for key in whole)
    with (tmp_path / "parts" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["3", "8"]
    assert {"loss", "psnr_noise25", "ssim_jpeg10"} <= set(rows[0])
    assert list((tmp_path / "parts").glob("events.out.tfevents*"))


def test_a_network_and_its_critic_resume_to_the_bit(tmp_path: Path) -> None:
    for run, stops in (("whole", [9]), ("parts", [4, 9])):
        for stop in stops:
            loop.train(Bout(), tmp_path, tmp_path, tmp_path / run, Stopping(9, stop))
    whole, parts = tensors_of(tmp_path / "whole"), tensors_of(tmp_path / "parts")
    assert set(whole) == set(parts)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    prefixes = {key.split(".")[0] for key in whole}
    assert prefixes == {"network", "average", "companions", "optimizer", "optimizer1"}


def test_a_critic_learns_in_its_turn_alone_and_is_neither_averaged_nor_shipped(tmp_path: Path) -> None:
    recipe = Bout()
    best = loop.train(recipe, tmp_path, tmp_path, tmp_path / "run", Stopping(5, 1))
    early = tensors_of(tmp_path / "run", "companions.")
    loop.train(recipe, tmp_path, tmp_path, tmp_path / "run", Stopping(5, 5))
    assert recipe.held == [(True, False), (False, True)] * 5
    late = tensors_of(tmp_path / "run", "companions.")
    assert not torch.equal(early["companions.weight"], late["companions.weight"])
    assert set(load_file(best)) == {"weight", "bias"}
    assert load_file(best)["weight"].shape == (3, 3)
    averaged = {
        key.removeprefix("average.module.") for key in tensors_of(tmp_path / "run", "average.module.")
    }
    assert averaged == {"weight", "bias"}


def test_the_average_is_what_is_judged_and_kept(tmp_path: Path) -> None:
    best = loop.train(Line(), tmp_path, tmp_path, tmp_path / "run", Stopping(20, 20))
    found = tensors_of(tmp_path / "run")
    assert torch.equal(load_file(best)["weight"], found["average.module.weight"])
    assert not torch.equal(load_file(best)["weight"], found["network.weight"])


def test_one_bad_batch_costs_a_step_back_at_half_the_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    class Noting(torch.optim.AdamW):
        def step(self, closure=None) -> None:
            rates.append(self.param_groups[0]["lr"])
            super().step(closure)

    monkeypatch.setattr(torch.optim, "AdamW", Noting)
    run = tmp_path / "run"
    loop.train(Line(bad=range(10, 11)), tmp_path, tmp_path, run, Stopping(12, 12))
    state = state_of(run)
    assert (state["step"], state["rollbacks"], state["rate"]) == (12, 1, 0.5)
    assert state["samples"] == 2 * 13  # the bad batch is not met again
    assert rates == [0.01] * 6 + [0.005] * 7
    assert all(torch.isfinite(value).all() for value in tensors_of(run).values())
    note = "Step 6: the loss was not a number. Back to step 5, learning rate times 0.5 (1 of 3)."
    assert (run / "notes.txt").read_text() == note + "\n"
    assert state["notes"] == [note]


def test_a_run_that_cannot_be_saved_stops_with_what_to_do_and_keeps_its_best(tmp_path: Path) -> None:
    run = tmp_path / "run"
    best = loop.train(Line(), tmp_path, tmp_path, run, Stopping(40, 4)).read_bytes()
    with pytest.raises(CalotypeError, match=r"lower --learning-rate.*step 4") as stopped:
        loop.train(Line(bad=range(8, 10**6)), tmp_path, tmp_path, run, Stopping(40, 40))
    assert stopped.value.code == "TRAINING_DIVERGED"
    assert (run / "best.safetensors").read_bytes() == best
    assert len((run / "notes.txt").read_text().splitlines()) == 4
    state = state_of(run)
    assert (state["step"], state["rollbacks"], state["rate"]) == (4, 0, 0.125)
    loop.train(Line(), tmp_path, tmp_path, run, Stopping(40, 40))  # whoever tries again goes on
    assert state_of(run)["step"] == 40


def test_a_loss_that_explodes_is_taken_back_to_before(tmp_path: Path) -> None:
    class Exploding(Line):
        def loss(self, network: torch.nn.Module, batch: loop.Batch) -> torch.Tensor:
            wild = int(batch["index"].min()) in range(120, 240)
            return super().loss(network, batch) * (1e4 if wild else 1)

    run = tmp_path / "run"
    loop.train(Exploding(), tmp_path, tmp_path, run, Stopping(150, 150))
    notes = (run / "notes.txt").read_text().splitlines()
    assert notes[0].startswith("Step 110: the loss stayed 10 times above its usual")
    assert "Back to step 60," in notes[0]  # nothing was saved while it was far away
    assert len(notes) == 1


def test_a_critic_that_is_always_right_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "CRITIC_STEPS", 20)
    with pytest.raises(CalotypeError) as stopped:
        loop.train(Bout(lead=1.0), tmp_path, tmp_path, tmp_path / "run", Stopping(200, 200))
    assert stopped.value.code == "TRAINING_DIVERGED"
    assert "the critic has told every real picture" in (tmp_path / "run" / "notes.txt").read_text()


def standings(lead: float, falling: bool) -> list[Standing]:
    return [Standing(lead, -step / 100 if falling else step / 100) for step in range(guard.CRITIC_STEPS)]


@pytest.mark.parametrize(
    ("history", "lost"),
    [(standings(1.0, True), True), (standings(1.0, False), False), (standings(0.9, True), False)],
    ids=["sure and the made gets worse", "sure and the made gets better", "not sure"],
)
def test_a_critic_has_won_only_where_it_is_sure_and_the_made_gets_worse(
    history: list[Standing], lost: bool
) -> None:
    watch = Guard()
    found = [watch.trouble([1.0, 0.01], [1.0, 1.0], standing) for standing in history]
    assert (found[-1] is not None) == lost
    assert watch.calm != lost
    assert not any(found[:-1])


def test_a_critic_that_tells_nothing_apart_is_noticed() -> None:
    def found(watch: Guard, score: float) -> list[str | None]:
        return [watch.trouble([1.0], [1.0], Standing(0.0, score)) for _ in range(guard.CRITIC_STEPS)]

    blind, seeing = Guard(), Guard()
    *before, last = found(blind, -0.001)
    assert "no real picture" in (last or "")
    assert not any(before)
    assert not blind.calm  # nothing of it is kept to go back to
    assert not any(found(seeing, -0.1))
    assert seeing.calm


def test_a_loss_may_jump_but_not_stay_away() -> None:
    watch = Guard()
    assert not any(watch.trouble([1.0], [1.0], None) for _ in range(100))
    assert not any(watch.trouble([50.0], [1.0], None) for _ in range(guard.FAR_STEPS - 1))
    assert not watch.calm
    assert watch.trouble([1.0], [1.0], None) is None
    assert watch.calm
    found = [watch.trouble([50.0], [1.0], None) for _ in range(guard.FAR_STEPS)]
    assert found[-1]
    assert not any(found[:-1])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_met_at_once(value: float) -> None:
    assert "loss" in (Guard().trouble([1.0, value], [1.0, 1.0], None) or "")
    assert "gradient" in (Guard().trouble([1.0, 1.0], [1.0, value], None) or "")


def test_a_checkpoint_of_before_there_were_rollbacks_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    loop.train(Line(), tmp_path, tmp_path, run, Stopping(8, 3))
    old = {"state": json.dumps({"step": 3, "elapsed_s": 1.5, "best": -1e9})}
    save_file(load_file(run / "checkpoint.safetensors"), run / "checkpoint.safetensors", old)
    loop.train(Line(), tmp_path, tmp_path, run, Stopping(8, 8))
    assert state_of(run)["samples"] == 16
    with (run / "log.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["3", "8"]


def test_a_checkpoint_of_another_model_is_not_gone_on_with(tmp_path: Path) -> None:
    run = tmp_path / "run"
    loop.train(Bout(), tmp_path, tmp_path, run, Stopping(2, 2))
    with pytest.raises(CalotypeError, match="--run"):
        loop.train(Line(), tmp_path, tmp_path, run, Stopping(4, 4))
    (run / "checkpoint.safetensors").write_bytes(b"torn")
    with pytest.raises(CalotypeError, match="--run"):
        loop.train(Bout(), tmp_path, tmp_path, run, Stopping(4, 4))


def test_the_log_goes_back_with_the_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    loop.train(Line(), tmp_path, tmp_path, run, Stopping(8, 3))
    checkpoint = (run / "checkpoint.safetensors").read_bytes()
    loop.train(Line(), tmp_path, tmp_path, run, Stopping(8, 5))
    (run / "checkpoint.safetensors").write_bytes(checkpoint)  # as if the power had gone before the last save
    loop.train(Line(), tmp_path, tmp_path, run, Stopping(8, 8))
    with (run / "log.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["3", "8"]


def test_samples_are_shown_side_by_side_at_every_evaluation(tmp_path: Path) -> None:
    best = loop.train(Line(), tmp_path, tmp_path, tmp_path / "run", Stopping(3, 3))
    network = torch.nn.Linear(3, 3)
    network.load_state_dict(load_file(best))
    shown = np.asarray(Image.open(tmp_path / "run" / "samples" / "3.png"))
    assert shown.shape == (6, 3 * 8 + 2 * GAP_PX, 3)
    assert (shown[:, :8] == 0).all()
    assert (shown[:, -8:] == 255).all()
    result = network(torch.ones(1, 3)).clamp(0, 1).mean().item() * 255
    assert np.allclose(shown[:, 8 + GAP_PX : 16 + GAP_PX], result, atol=1)


def test_every_picture_of_a_contact_sheet_is_in_its_place() -> None:
    rows = [tuple(torch.full((3, 5, 7), (3 * y + x) / 10) for x in range(3)) for y in range(2)]
    sheet = contact_sheet(rows)
    for y in range(2):
        for x in range(3):
            top, left = y * (5 + GAP_PX), x * (7 + GAP_PX)
            part = sheet[:, top : top + 5, left : left + 7]
            assert (part == round(25.5 * (3 * y + x))).all()


def test_the_detector_learns_and_is_judged(folder: Path, tmp_path: Path) -> None:
    class Tiny(DetectorRecipe):
        def network(self) -> torch.nn.Module:
            return Detector((16, 16, 16), (1, 1, 1), (1, 1))

    recipe = Tiny(batch_size=4, patch_px=64, learning_rate=3e-3)
    samples = recipe.samples(folder, 1)
    batch = default_collate([samples[index] for index in range(16)])
    network = recipe.network()
    untrained = recipe.loss(network, batch).item()
    best = loop.train(recipe, folder, folder, tmp_path / "run", loop.Schedule(60, None, warmup_steps=5))
    network.load_state_dict(load_file(best))
    assert recipe.loss(network, batch).item() < 0.95 * untrained
    figures = recipe.evaluate(network, folder)
    assert set(figures) == {"f1", "false_alarms", "score"}
    assert all(0 <= figure <= 1 for figure in figures.values())
    rows = recipe.samples_sheet(network, folder)
    assert {picture.shape for row in rows for picture in row} == {(3, 256, 256)}
    assert {len(row) for row in rows} == {3}


def test_the_restorer_learns(folder: Path, tmp_path: Path) -> None:
    recipe = SmallRestorer(batch_size=8, patch_px=64)
    torch.manual_seed(0)
    before = recipe.network()
    samples = recipe.samples(folder, 99)
    held_out = default_collate([samples[i] for i in range(16)])
    best = loop.train(recipe, folder, folder, tmp_path, loop.Schedule(100, None, warmup_steps=20))
    after = recipe.network()
    after.load_state_dict(
        {k.removeprefix("network."): v for k, v in tensors_of(tmp_path, "network.").items()}
    )
    assert best.exists()
    with torch.inference_mode():
        assert recipe.loss(after, held_out) < 0.7 * recipe.loss(before, held_out)
