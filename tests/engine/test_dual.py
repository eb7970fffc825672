"""Colours and styles by one network: chroma keeps luma, hints are true, tiles agree, both are learnt."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data as photos
from torch import Tensor
from torch.utils.data import default_collate

from calotype.image import chroma
from calotype.image.codec import Box
from calotype.image.metrics import colourfulness
from calotype.models import distances, dual
from calotype.train import hints
from calotype.train.dual import DualRecipe
from calotype_wire.errors import CalotypeError
from trainees import photo_folder


def photo(height: int = 128, width: int = 160) -> Tensor:
    """(1, 3, height, width): a part of a photo."""
    whole = torch.from_numpy(photos.astronaut().copy()).permute(2, 0, 1)
    return whole[None, :, :height, 100 : 100 + width].float() / 255


# ---- chroma


def test_luma_and_chroma_make_the_picture_again() -> None:
    picture = photo()
    assert torch.allclose(chroma.join(*chroma.split(picture)), picture, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(luma=st.floats(0, 1), blue=st.floats(-0.5, 0.5), red=st.floats(-0.5, 0.5))
def test_whatever_the_chroma_the_luma_stays_and_the_picture_is_a_picture(
    luma: float, blue: float, red: float
) -> None:
    grey = torch.full((1, 1, 1, 1), luma)
    made = chroma.join(grey, torch.tensor([blue, red]).view(1, 2, 1, 1))
    assert chroma.split(made)[0].item() == pytest.approx(luma, abs=1e-5)
    assert -1e-5 <= made.min() <= made.max() <= 1 + 1e-5


def test_enlarged_chroma_follows_the_edges_of_the_large_luma() -> None:
    picture = torch.from_numpy(photos.coffee()[:, :592].copy()).permute(2, 0, 1)[None].float() / 255
    luma, truth = chroma.split(picture)
    small = torch.nn.functional.avg_pool2d(picture, 8)
    guided = chroma.Guided.of(*chroma.split(small), 592, 400)
    found = guided.at(luma, Box(0, 0, 592, 400))
    plain = torch.nn.functional.interpolate(chroma.split(small)[1], scale_factor=8.0, mode="bilinear")
    assert (found - truth).square().mean() < 0.9 * (plain - truth).square().mean()


def test_chroma_is_the_same_in_parts_as_in_one() -> None:
    luma, _ = chroma.split(photo(96, 128))
    small = torch.nn.functional.avg_pool2d(photo(96, 128), 4)
    guided = chroma.Guided.of(*chroma.split(small), 128, 96)
    whole = guided.at(luma, Box(0, 0, 128, 96))
    part = guided.at(luma[..., 32:64, 50:90], Box(50, 32, 90, 64))
    assert torch.allclose(part, whole[..., 32:64, 50:90], atol=1e-6)


def test_grey_has_no_colour_and_a_photo_has_some() -> None:
    assert colourfulness(photo().mean(1, keepdim=True).expand(-1, 3, -1, -1)) == 0
    assert 0.05 < colourfulness(photo()) < 0.5


# ---- hints


def test_hints_are_true_where_they_are_known_and_nothing_elsewhere() -> None:
    truth = chroma.split(photo())[1][0]
    for drawn in (
        hints.points(truth, 9, np.random.default_rng(0)),
        hints.strokes(truth, 9, np.random.default_rng(0)),
    ):
        told, known = drawn
        assert 0 < known.mean() < 0.5
        assert not told[:, known[0] == 0].any()
        assert (told - truth)[:, known[0] == 1].abs().mean() < 0.05


def test_a_palette_tells_which_colours_there_are() -> None:
    red, blue = torch.tensor([[-0.1, 0.3]]), torch.tensor([[0.3, -0.1]])
    both = dual.palette_of(torch.cat([red, blue]))
    assert both[:-1].sum().item() == pytest.approx(1)
    assert torch.allclose(both, (dual.palette_of(red) + dual.palette_of(blue)) / 2)
    assert not torch.equal(dual.palette_of(red), dual.palette_of(blue))
    many = 0.6 * torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) - 0.3
    assert torch.allclose(dual.mean_of(dual.palette_of(many)[None])[0], many.mean(0), atol=1e-4)
    assert not dual.mean_of(hints.NO_PALETTE[None]).any()
    found = hints.palette(chroma.split(photo())[1][0], 5, np.random.default_rng(0))
    assert found.shape == (dual.PALETTE,)


# ---- losses of style


def test_style_knows_no_places_and_content_no_scales() -> None:
    features = [torch.rand(1, 8, 12, 12, generator=torch.Generator().manual_seed(0))]
    mixed = [features[0].flatten(2)[:, :, torch.randperm(144)].unflatten(2, (12, 12))]
    assert distances.style(mixed, features).item() == pytest.approx(0, abs=1e-3)
    assert distances.content(mixed, features) > 0.5
    louder = [3 * features[0] + 1]
    assert distances.content(louder, features).item() == pytest.approx(0, abs=1e-3)
    assert distances.style(louder, features) > 1


# ---- network and recipe


def restless() -> dual.Dual:
    """A network whose every part has an effect."""
    torch.manual_seed(0)
    network = dual.Dual().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
    return network


@torch.inference_mode()
def test_tiles_with_the_moments_of_the_whole_are_the_whole() -> None:
    network, (luma, colours) = restless(), chroma.split(photo(256, 256))
    row = 0.2 * torch.randn(1, dual.ROW, generator=torch.Generator().manual_seed(0))
    whole, moments = network.stylise(luma, colours, row)
    part = (..., slice(0, 192), slice(64, 256))
    tile, _ = network.stylise(luma[part], colours[part], row, moments=moments)
    inner = (..., slice(0, 128), slice(64, 192))
    assert torch.allclose(tile[inner], whole[..., 0:128, 128:256], atol=1e-4)
    alone, _ = network.stylise(luma[part], colours[part], row)
    assert not torch.allclose(alone[inner], whole[..., 0:128, 128:256], atol=1e-3)


@torch.inference_mode()
def test_everything_that_a_user_says_has_an_effect() -> None:
    network, (luma, colours) = restless(), chroma.split(photo())
    truth, generator = colours[0], np.random.default_rng(0)
    nothing = hints.none(*truth.shape[1:])
    said = [
        (*nothing, hints.NO_PALETTE),
        (*nothing, hints.palette(truth, 4, generator)),
        (*hints.points(truth, 5, generator), hints.NO_PALETTE),
    ]
    answers = [network.colour(luma, *(part[None] for part in each)) for each in said]
    assert answers[0].shape == colours.shape
    assert not torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


def test_both_tasks_are_learnt_together(tmp_path: Path) -> None:
    folder = photo_folder(tmp_path)
    recipe = DualRecipe(styles=folder, batch_size=2, painted=1)
    torch.manual_seed(0)
    network = recipe.network()
    (objective,) = recipe.objectives(network, recipe.companions())
    samples = recipe.samples(folder, 0)
    batch = default_collate([samples[index] for index in range(2)])
    optimizer = torch.optim.AdamW(network.parameters(), 2e-4)
    seen = []
    for _ in range(20):
        terms = objective.loss(batch)
        seen.append({key: term.item() for key, term in terms.items()})
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    assert seen[-1]["colour"] < seen[0]["colour"]
    assert seen[-1]["style"] < seen[0]["style"]
    with torch.inference_mode():
        figures = recipe.evaluate(network.eval(), folder)
        sheet = recipe.samples_sheet(network, folder)
    assert figures.keys() >= {"psnr_automatic", "psnr_hints", "colourful", "content", "style", "score"}
    assert len({len(row) for row in sheet}) == 1


@pytest.mark.parametrize(
    ("losses", "judged"),
    [({"content": 0, "style": 0}, {"psnr_automatic"}), ({"colour": 0, "histogram": 0}, {"content", "style"})],
)
def test_only_what_is_learnt_is_judged(tmp_path: Path, losses: dict[str, float], judged: set[str]) -> None:
    folder = photo_folder(tmp_path)
    recipe = DualRecipe(styles=folder, **losses)  # type: ignore[arg-type]
    with torch.inference_mode():
        figures = recipe.evaluate(recipe.network().eval(), folder)
    assert judged <= figures.keys()
    assert len(figures.keys() & {"psnr_automatic", "style"}) == 1


def test_colours_depend_on_what_the_encoder_of_likeness_sees() -> None:
    network, (luma, _) = restless(), chroma.split(photo())
    given = *(part[None] for part in hints.none(*luma.shape[2:])), hints.NO_PALETTE[None]
    seen = network.colour(luma, *given)
    with torch.no_grad():
        for sight in network.encoder.sight:
            sight.weight.zero_()
    assert not torch.equal(seen, network.colour(luma, *given))


def test_styles_need_paintings(tmp_path: Path) -> None:
    with pytest.raises(CalotypeError, match="--styles"):
        DualRecipe().samples(photo_folder(tmp_path), 0)
    DualRecipe(content=0, style=0).samples(photo_folder(tmp_path), 0)


def test_a_critic_takes_part_on_request(tmp_path: Path) -> None:
    folder = photo_folder(tmp_path)
    recipe = DualRecipe(styles=folder, batch_size=2, painted=2, adversarial=0.1)
    network, critic = recipe.network(), recipe.companions()
    maker, judge = recipe.objectives(network, critic)
    batch = default_collate([recipe.samples(folder, 0)[index] for index in range(2)])
    terms = maker.loss(batch)
    assert terms.keys() == {"colour", "histogram", "content", "style", "adversarial"}
    sum(terms.values()).backward()
    assert judge.parts is critic
    opinions = judge.loss(batch)
    assert opinions["critic"].requires_grad
    assert judge.standing is not None
    assert 0 <= judge.standing().lead <= 1
