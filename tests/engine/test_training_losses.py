"""Losses are what their contracts say, critics judge every part of a picture, the encoder tells likeness."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data as photos
from torch import Tensor, nn

from calotype.models.discriminators import PatchDiscriminator, UNetDiscriminator
from calotype.models.encoder import Encoder
from calotype.train import losses


def picture(side: int = 64, name: str = "astronaut") -> Tensor:
    """(1, 3, side, side): a part of a photo."""
    whole = torch.from_numpy(getattr(photos, name)()[:, :, :3].copy()).permute(2, 0, 1)
    return whole[None, :, 60 : 60 + side, 180 : 180 + side].float() / 255


def noisy(clean: Tensor, sigma: float, seed: int = 0) -> Tensor:
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return (clean + sigma * noise).clamp(0, 1)


PAIRED = [
    losses.structural,
    losses.histogram_distance,
    lambda made, truth: losses.charbonnier(made, truth) - 1e-3,
    lambda made, truth: losses.perceptual(encoder(), made, truth),
]


def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder((8, 8, 8, 8, 8))


@pytest.mark.parametrize("loss", PAIRED, ids=["structural", "histogram", "charbonnier", "perceptual"])
def test_a_loss_is_nothing_between_equals_and_grows_with_damage(loss) -> None:
    clean = picture()
    assert loss(clean, clean).item() == pytest.approx(0, abs=1e-6)
    found = [loss(noisy(clean, sigma), clean).item() for sigma in (0.02, 0.06, 0.18)]
    assert 0 < found[0] < found[1] < found[2]


@pytest.mark.parametrize("loss", PAIRED, ids=["structural", "histogram", "charbonnier", "perceptual"])
def test_following_a_loss_downhill_brings_a_picture_nearer(loss) -> None:
    clean = picture(32)
    made = (0.6 * noisy(clean, 0.05) + 0.2).requires_grad_()
    before = loss(made, clean)
    (slope,) = torch.autograd.grad(before, made)
    assert torch.isfinite(slope).all()
    assert loss((made - 1e-3 * slope / slope.norm()).detach(), clean) < before


def test_charbonnier_is_the_absolute_difference_where_it_is_large_and_smooth_where_it_is_small() -> None:
    zero = torch.zeros(1, 1, 2, 2)
    assert losses.charbonnier(zero + 0.5, zero).item() == pytest.approx(0.5, abs=1e-5)
    near = torch.full((1, 1, 2, 2), 1e-5, requires_grad=True)
    losses.charbonnier(near, zero).backward()
    assert near.grad is not None
    assert 0 < near.grad.sum() < 0.02  # of the absolute difference it is 1


@settings(max_examples=30, deadline=None)
@given(shift=st.floats(-0.3, 0.3), seed=st.integers(0, 1000))
def test_the_histogram_distance_of_a_shift_is_the_shift(shift: float, seed: int) -> None:
    values = 0.35 + 0.3 * torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    assert losses.histogram_distance(values + shift, values).item() == pytest.approx(abs(shift), abs=2e-3)


def test_the_histogram_distance_forgets_places() -> None:
    clean = picture()
    mixed = clean.flatten(2)[:, :, torch.randperm(64 * 64, generator=torch.Generator().manual_seed(1))]
    assert losses.histogram_distance(mixed.unflatten(2, (64, 64)), clean).item() == 0


def test_perceptual_has_no_eye_for_brightness_of_features_but_for_their_kind() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [x]

    a = torch.tensor([1.0, 2.0, 2.0]).view(1, 3, 1, 1)
    right_angle = torch.tensor([2.0, 1.0, -2.0]).view(1, 3, 1, 1)
    assert losses.perceptual(Fixed(), 5 * a, a).item() == pytest.approx(0, abs=1e-6)
    assert losses.perceptual(Fixed(), right_angle, a).item() == pytest.approx(2, abs=1e-5)


def test_perceptual_teaches_what_was_made_and_never_the_truth() -> None:
    made, truth = picture(32).requires_grad_(), noisy(picture(32), 0.1).requires_grad_()
    losses.perceptual(encoder(), made, truth).backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0
    assert truth.grad is None


def test_a_hinge_is_content_beyond_its_margin() -> None:
    far, near = torch.full((4,), 2.0), torch.full((4,), 0.5)
    assert losses.hinge_critic(far, -far).item() == 0
    assert losses.hinge_critic(near, -near).item() == pytest.approx(1.0)
    assert losses.hinge_critic(-far, far).item() == pytest.approx(6.0)
    assert losses.hinge_maker(far) < losses.hinge_maker(near)


def test_relativistic_asks_who_leads_and_by_nothing_else() -> None:
    generator = torch.Generator().manual_seed(0)
    real, made = torch.randn(8, generator=generator) + 1, torch.randn(8, generator=generator)
    assert losses.relativistic(real, real.mean().expand(8)) > 0
    assert losses.relativistic(made[:1], made[:1]).item() == pytest.approx(math.log(2))
    assert losses.relativistic(real + 7, made + 7).item() == pytest.approx(
        losses.relativistic(real, made).item()
    )
    assert losses.relativistic(real, made) < math.log(2) < losses.relativistic(made, real)
    assert losses.relativistic(real + 9, made) < 1e-3


CRITICS = {"unet": (UNetDiscriminator, (96, 64)), "patch": (PatchDiscriminator, (96 // 8 - 2, 64 // 8 - 2))}


@pytest.mark.parametrize("name", CRITICS)
def test_a_critic_has_about_a_million_parameters_and_an_opinion_of_every_part(name: str) -> None:
    make, shape = CRITICS[name]
    torch.manual_seed(0)
    critic = make().eval()
    assert 0.8e6 < sum(p.numel() for p in critic.parameters()) < 1.3e6
    clean = torch.rand(2, 3, 96, 64)
    with torch.inference_mode():
        opinion = critic(clean)
        assert opinion.shape == (2, 1, *shape)
        changed = clean.clone()
        changed[0, :, :16, :16] = 0
        moved = (critic(changed) - opinion).abs()
    assert moved[1].max() == 0  # each picture by itself
    assert moved[0, 0, :2, :2].max() > 100 * moved[0, 0, -1, -1]  # here and not there


@pytest.mark.parametrize("name", CRITICS)
def test_a_critic_learns_to_tell_sharp_from_soft(name: str) -> None:
    torch.manual_seed(0)
    critic = CRITICS[name][0](width=8)
    optimizer = torch.optim.AdamW(critic.parameters(), 1e-3)
    real = torch.cat([picture(64), picture(64, "coffee"), picture(64, "chelsea")])
    made = nn.functional.avg_pool2d(nn.functional.pad(real, (2, 2, 2, 2), mode="reflect"), 5, 1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = losses.relativistic(critic(real), critic(made))
        loss.backward()
        optimizer.step()
    assert loss < 0.65 * math.log(2)


@pytest.mark.parametrize("name", CRITICS)
def test_spectral_norm_keeps_a_critic_from_shouting(name: str) -> None:
    """However large the weights grow, the normalised layers pass on no more than came in."""
    critic = CRITICS[name][0](width=8)
    normalised = [m for m in critic.modules() if hasattr(m, "parametrizations")]
    assert len(normalised) == (7 if name == "unet" else 3)
    for conv in normalised:
        with torch.no_grad():
            conv.parametrizations.weight.original.mul_(50)
        for _ in range(30):
            weight = conv.weight  # in training every look refines the estimate
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.1)


def test_the_encoder_has_five_stages_each_at_half_the_sides() -> None:
    torch.manual_seed(0)
    network = Encoder()
    assert 1.25e6 < sum(p.numel() for p in network.parameters()) < 1.35e6
    with torch.inference_mode():
        features = network(torch.rand(1, 3, 64, 96))
    assert [tuple(f.shape) for f in features] == [
        (1, width, 64 >> k, 96 >> k) for k, width in enumerate((24, 48, 96, 160, 224))
    ]
    assert all((f >= 0).all() for f in features)
    assert all(0.1 < float(f.square().mean()) < 30 for f in features)  # no stage starts mute or deafening
