"""Faults that are planted to learn from: each is seen, the truth says where, and a seed repeats all of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data as photos
from skimage import transform

from calotype.image.metrics import auroc, spearman
from calotype.models.anomaly import KINDS, LOGIT_MAX, STEPS, Anomaly, Gate
from calotype.train import anomaly, failing, faults, planted
from calotype.train.anomaly import isotonic
from calotype.train.command import COURSES
from trainees import photo_folder


def crop() -> np.ndarray:
    small = transform.resize(photos.astronaut(), (256, 256), anti_aliasing=True)
    return np.ascontiguousarray(small[20:148, 60:188], np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_fault_can_be_seen_and_a_seed_repeats_it(kind: str, seed: int) -> None:
    base = faults.base(crop(), np.random.default_rng(seed))
    one, other = (faults.spoilt(base, kind, np.random.default_rng((seed, 1))) for _ in range(2))
    assert one.shape == base.picture.shape
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert np.array_equal(one, other)
    assert np.abs(one - base.picture).mean() > 0.002


def test_some_pictures_show_nothing_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "PLAIN", 1.0)
    steps = [np.diff(faults.base(crop(), np.random.default_rng(seed)).picture, axis=1) for seed in range(4)]
    assert all(np.abs(each).max() < 2 / 128 for each in steps)


def test_a_painting_may_be_enlarged_and_its_faults_with_it_or_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ENLARGED", "REFINED"):
        monkeypatch.setattr(faults, name, float(name == "ENLARGED"))
    bases = (faults.base(crop(), np.random.default_rng(seed)) for seed in range(40))
    base = next(each for each in bases if each.small is not None)
    assert base.manner is not None
    assert base.picture.shape == base.photo.shape == base.small.picture.shape  # type: ignore[union-attr]
    made = [faults.spoilt(base, "noise", np.random.default_rng(seed)) for seed in range(12)]
    finest = [float(np.abs(np.diff(each - base.picture, axis=1)).mean()) for each in made]
    assert max(finest) > 1.5 * min(finest), "noise of before is as soft as the picture"


def test_a_refined_painting_is_made_wherever_it_is_asked_for() -> None:
    photo = torch.from_numpy(crop().transpose(2, 0, 1).copy())
    manner = failing.style(np.random.default_rng(0))
    with torch.inference_mode():  # as where a training is judged
        painting = failing.painted(photo, manner.row)
        made = failing.refined(photo, painting, manner, 3)
    assert made.shape == photo.shape
    assert (made - painting).abs().mean() > 0.01


def test_the_truth_is_where_the_picture_differs_and_nowhere_else() -> None:
    clean = crop()
    worn = clean + np.float32(0.2)
    for seed in range(10):
        found = planted.planted(clean, [(0, worn)], np.random.default_rng(seed))
        away = np.abs(found.picture - clean).mean(axis=2)
        assert found.severity[away == 0].sum() < 0.05 * away.size, "only the rim, where a neighbour differs"
        assert (found.severity[away > 0.1] > 0.2).all()
        assert ((found.kind == 0) == (found.severity > 0)).all()


def test_of_a_seam_only_its_line_is_wrong() -> None:
    clean = np.full((128, 128, 3), 128 / 255, np.float32)
    tile = clean.copy()
    tile[:, 64:] += 0.2
    for seed in range(40):  # until one is laid over all of the picture
        found = planted.planted(clean, [(KINDS.index("seam"), tile)], np.random.default_rng(seed))
        if (
            np.abs(found.picture - clean)[:, 64:].min() > 0.1
            and (found.picture[:, :64] == clean[:, :64]).all()
        ):
            break
    else:
        raise AssertionError("no seed laid it over all")
    assert (found.severity[:, 62:66] > 0.2).all()
    assert (found.severity[:, 96:] == 0).all()


def test_what_is_not_seen_is_no_fault() -> None:
    clean = crop()
    found = planted.planted(clean, [(0, clean + np.float32(4 / 255))], np.random.default_rng(0))
    assert not found.severity.any()


def test_a_sample_is_the_same_each_time_and_another_for_another_seed(tmp_path: Path) -> None:
    folder = photo_folder(tmp_path)
    one, again, other = (anomaly.AnomalyRecipe().samples(folder, seed)[5] for seed in (1, 1, 2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["picture"], other["picture"])
    assert one["wrong"].shape == (1, 16, 16)
    assert one["kinds"].shape == (len(KINDS), 16, 16)


def test_a_kind_that_is_left_out_is_in_no_sample(tmp_path: Path) -> None:
    samples = anomaly.AnomalyRecipe(("noise",)).samples(photo_folder(tmp_path), 0)
    for index in range(12):
        assert not samples[index]["kinds"][0].any()


@pytest.mark.parametrize("network", [Anomaly(), Gate()], ids=["quality", "quality-gate"])
def test_what_is_wrong_is_learnt(network: torch.nn.Module, tmp_path: Path) -> None:
    recipe = anomaly.AnomalyRecipe()
    rng = np.random.default_rng(0)
    clean = crop()
    worn = clean + rng.normal(0, 0.2, clean.shape).astype(np.float32)
    found = [planted.planted(clean, [(0, worn)], np.random.default_rng(seed)) for seed in range(4)]
    samples = [anomaly.sample(each, rng) for each in found]
    batch = {key: torch.stack([each[key] for each in samples]) for key in samples[0]}
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    losses = []
    for _ in range(25):
        loss = recipe.loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_the_calibration_never_falls_and_says_how_often_it_was_right() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = 8 * (torch.rand(20_000, generator=rng) - 0.5)
    truths = (torch.rand(20_000, generator=rng) < torch.sigmoid(3 * logits)).float()
    network = Anomaly()
    assert torch.allclose(network.likelihood(logits), torch.sigmoid(logits), atol=0.01), "not calibrated yet"
    curve = isotonic(logits, truths)
    assert (curve.diff() >= 0).all()
    network.curve.copy_(curve)
    for lowest in (-2.0, -0.5, 0.0, 0.5, 2.0):
        there = (logits > lowest) & (logits < lowest + 0.5)
        assert abs(float(network.likelihood(logits[there]).mean() - truths[there].mean())) < 0.04
    assert len(curve) == STEPS
    assert float(network.likelihood(torch.tensor(-99.0))) == float(curve[0])
    assert float(network.likelihood(torch.tensor(LOGIT_MAX))) == float(curve[-1])


def test_the_figures_are_what_they_are_called() -> None:
    scores = torch.tensor([0.1, 0.4, 0.35, 0.8])
    assert auroc(scores, torch.tensor([False, False, True, True])) == 0.75
    assert auroc(torch.ones(4), torch.tensor([False, False, True, True])) == 0.5
    assert spearman(torch.tensor([1.0, 2, 3, 9]), torch.tensor([0.1, 0.2, 0.3, 0.4])) == pytest.approx(1)
    assert spearman(torch.tensor([1.0, 2, 3]), torch.tensor([3.0, 2, 1])) == pytest.approx(-1)


@pytest.mark.parametrize(("model", "file"), [("quality", "anomaly"), ("quality-gate", "anomaly-gate")])
def test_both_are_trained_by_name_and_are_kept_as_files_of_their_own(model: str, file: str) -> None:
    recipe, contract = COURSES[model].make(model, {})
    assert contract.name == file
    assert recipe.name == file
