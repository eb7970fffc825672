"""The recipes: the encoder learns what its teacher tells, detail is learnt against a critic, by command."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import default_collate

from calotype import cli
from calotype.models import restorer, weights
from calotype.models.discriminators import UNetDiscriminator
from calotype.models.encoder import Encoder
from calotype.models.restorer import Restorer
from calotype.train import command, loop
from calotype.train import encoder as encoder_recipe
from calotype.train.bout import CRITICS
from calotype.train.encoder import TEACHER, TEACHER_DEPTHS, TEACHER_WIDTHS, EncoderRecipe
from calotype.train.recipe import objectives_of
from calotype.train.restorer_gan import RestorerDetailRecipe
from calotype_wire.errors import CalotypeError
from trainees import Stopping, photo_folder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tensorboard 2.21 and numpy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photo_folder(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VGG-19 of the teacher's shape that was never taught."""
    generator = torch.Generator().manual_seed(0)

    def conv(inputs: int, outputs: int, side: int) -> Tensor:
        return torch.randn(outputs, inputs, side, side, generator=generator) * (2 / inputs / side**2) ** 0.5

    tensors = {
        "conv0.weight": 4 * torch.eye(3).flip(0)[:, :, None, None],
        "conv0.bias": torch.full((3,), -2.0),
    }
    width = 3
    for stage, (depth, told) in enumerate(zip(TEACHER_DEPTHS, TEACHER_WIDTHS, strict=True), 1):
        for layer in range(1, depth + 1):
            tensors[f"conv{stage}_{layer}.weight"] = conv(width, 16, 3)
            tensors[f"conv{stage}_{layer}.bias"] = torch.zeros(16)
            width = 16
        tensors[f"conv{stage}_1_aux.weight"] = conv(16, told, 1)
        tensors[f"conv{stage}_1_aux.bias"] = torch.zeros(told)
    path = tmp_path_factory.mktemp("teacher")
    save_file(tensors, path / TEACHER)
    return path


def test_the_encoder_learns_from_its_teacher_and_is_shipped_alone(
    folder: Path, teacher: Path, tmp_path: Path
) -> None:
    recipe = EncoderRecipe(teacher, paintings=folder, batch_size=2, patch_px=64)
    best = loop.train(recipe, folder, folder, tmp_path / "run", loop.Schedule(12, None, warmup_steps=3))
    Encoder().load_state_dict(load_file(best))  # no projection among its weights
    torch.manual_seed(0)
    network, companions = recipe.network(), recipe.companions()
    (objective,) = recipe.objectives(network, companions)
    samples = recipe.samples(folder, 5)
    batch = default_collate([samples[index] for index in range(6)])
    untrained = sum(objective.loss(batch).values())
    kept = load_file(tmp_path / "run" / "checkpoint.safetensors")
    network.load_state_dict(
        {k.removeprefix("network."): v for k, v in kept.items() if k.startswith("network.")}
    )
    companions.load_state_dict(
        {k.removeprefix("companions."): v for k, v in kept.items() if k.startswith("companions.")}
    )
    assert sum(objective.loss(batch).values()) < 0.9 * untrained


def test_an_encoder_is_judged_by_what_its_stages_tell_of_the_teacher(
    folder: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Copy(nn.Module):
        """Tells what the teacher tells, of as many stages as are asked for, and noise of the others."""

        def __init__(self, stages: int) -> None:
            super().__init__()
            self.stages = stages
            self.anything = nn.Parameter(torch.zeros(1))

        def forward(self, picture: Tensor) -> list[Tensor]:
            told = recipe.taught(picture, (0, 0))
            generator = torch.Generator().manual_seed(0)
            return [
                f if k < self.stages else torch.rand(f[:, :8].shape, generator=generator)
                for k, f in enumerate(told)
            ]

    recipe = EncoderRecipe(teacher)
    monkeypatch.setattr(encoder_recipe, "SPARSE", 1)
    perfect, half = recipe.evaluate(Copy(5), folder), recipe.evaluate(Copy(2), folder)
    assert all(perfect[f"cosine{stage}"] > 0.99 for stage in range(1, 6))
    assert half["cosine2"] > 0.99
    assert half["cosine3"] < 0.97
    assert half["score"] < perfect["score"]


def test_a_quarter_of_the_encoders_samples_are_paintings_and_half_are_worn(
    folder: Path, teacher: Path, tmp_path: Path
) -> None:
    Image.fromarray(np.full((80, 80, 3), 200, np.uint8)).save(tmp_path / "plain.png")
    samples = EncoderRecipe(teacher, paintings=tmp_path, patch_px=64).samples(folder, 0)
    found = [samples[index]["picture"] for index in range(80)]
    plain = [
        abs(float(picture.mean()) - 200 / 255) < 0.02 and float(picture.std()) < 0.2 for picture in found
    ]
    assert [index for index, is_plain in enumerate(plain) if is_plain] == list(range(3, 80, 4))
    untouched = [float((picture - 200 / 255).abs().max()) < 1e-6 for picture in found[3::4]]
    assert 0.3 < sum(untouched) / len(untouched) < 0.9  # blur and mild JPEG leave a plain picture plain


def test_a_missing_teacher_is_asked_for(folder: Path, tmp_path: Path) -> None:
    for recipe in (EncoderRecipe(), EncoderRecipe(tmp_path)):
        with pytest.raises(CalotypeError, match="--teacher"):
            recipe.evaluate(Encoder(), folder)


class SmallDetail(RestorerDetailRecipe):
    """Small networks, and an encoder that nobody taught."""

    def network(self) -> nn.Module:
        torch.manual_seed(3)
        return Restorer((16, 16), (1, 1), (1,))

    def companions(self) -> nn.Module:
        return UNetDiscriminator(8) if self.adversarial else nn.ModuleList()

    def encoder(self, device: torch.device) -> nn.Module:
        torch.manual_seed(4)
        return Encoder((8, 8, 8, 8, 8)).requires_grad_(False)


DETAIL = {"batch_size": 2, "patch_px": 64}


@pytest.mark.parametrize("missing", ["pixels", "perceptual", "adversarial", None])
def test_each_loss_of_detail_takes_part_by_its_weight(folder: Path, missing: str | None) -> None:
    def slope(**given: float) -> dict[str, Tensor]:
        recipe = SmallDetail(**DETAIL, **given)  # type: ignore[arg-type]
        network = recipe.network()
        torch.manual_seed(0)
        maker = objectives_of(recipe, network, recipe.companions())[0]
        samples = recipe.samples(folder, 0)
        terms = maker.loss(default_collate([samples[0], samples[1]]))
        return {
            name: torch.autograd.grad(term, network.tail.weight, retain_graph=True)[0]
            for name, term in terms.items()
        }

    usual = slope()
    assert set(usual) == {"pixels", "perceptual", "adversarial"}
    assert all(s.abs().sum() > 0 for s in usual.values())
    if missing:
        assert usual[missing] is not None
        doubled = slope(**{missing: 2 * getattr(RestorerDetailRecipe(), missing)})
        assert torch.allclose(doubled[missing], 2 * usual[missing], rtol=1e-3, atol=1e-9)
        without = slope(**{missing: 0.0})
        assert missing not in without or without[missing].abs().sum() == 0


@pytest.mark.parametrize("critic", ["unet", "patch"])
@pytest.mark.parametrize("contest", ["relativistic", "hinge"])
def test_every_critic_teaches_in_every_contest(folder: Path, critic: str, contest: str) -> None:
    recipe = RestorerDetailRecipe(critic=critic, contest=contest, structural=0.1, perceptual=0, **DETAIL)  # type: ignore[arg-type]
    network, companions = recipe.network(), recipe.companions()
    assert isinstance(companions, CRITICS[critic])
    maker, judge = recipe.objectives(network, companions)
    samples = recipe.samples(folder, 0)
    batch = default_collate([samples[0], samples[1]])
    terms = maker.loss(batch)
    assert set(terms) == {"pixels", "structural", "adversarial"}
    assert all(
        torch.autograd.grad(t, network.tail.weight, retain_graph=True)[0].any() for t in terms.values()
    )
    optimizer = torch.optim.AdamW(companions.parameters(), 1e-4)
    opinions = []
    for _ in range(8):
        opinions.append(judge.loss(batch)["critic"])
        optimizer.zero_grad()
        opinions[-1].backward()
        optimizer.step()
    assert opinions[-1] < opinions[0]


def test_without_an_adversary_there_is_no_critic() -> None:
    recipe = SmallDetail(adversarial=0.0)
    assert list(recipe.companions().parameters()) == []
    assert len(recipe.objectives(recipe.network(), recipe.companions())) == 1


def test_detail_is_trained_resumed_and_judged_by_what_it_looks_like(folder: Path, tmp_path: Path) -> None:
    recipe = SmallDetail(**DETAIL)  # type: ignore[arg-type]
    for run, stops in (("whole", [4]), ("parts", [2, 4])):
        for stop in stops:
            best = loop.train(recipe, folder, folder, tmp_path / run, Stopping(4, stop))
    whole, parts = (load_file(tmp_path / run / "checkpoint.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert any(key.startswith("companions.") for key in whole)
    assert not torch.equal(whole["companions.tail.weight"], recipe.companions().state_dict()["tail.weight"])
    network = recipe.network()
    network.load_state_dict(load_file(best))
    figures = recipe.evaluate(network, folder)
    assert figures["score"] == -figures["distance"]
    assert {"psnr_noise25", "psnr_jpeg10", "psnr_mixed"} <= set(figures)
    assert (tmp_path / "whole" / "samples" / "4.png").exists()


def test_the_critic_says_how_it_stands(folder: Path) -> None:
    recipe = SmallDetail(**DETAIL)  # type: ignore[arg-type]

    class Told(nn.Module):
        """A critic that knows the clean pictures by heart."""

        def __init__(self) -> None:
            super().__init__()
            self.lead = nn.Parameter(torch.tensor(9.0))

        def forward(self, picture: Tensor) -> Tensor:
            real = torch.equal(picture, batch["clean"])
            return self.lead * (1 if real else -1) * torch.ones_like(picture[:, :1])

    samples = recipe.samples(folder, 0)
    batch = default_collate([samples[0], samples[1]])
    critic = Told()
    maker, judge = recipe.objectives(recipe.network(), critic)
    found = []
    for lead in (9.0, 0.2):
        critic.lead.data.fill_(lead)
        maker.loss(batch)
        judge.loss(batch)
        assert judge.standing
        found.append(judge.standing())
    assert (found[0].lead, found[1].lead) == (1.0, 0.0)
    assert found[0].score < found[1].score < 0


def test_detail_starts_from_the_shipped_restorer() -> None:
    network = RestorerDetailRecipe().network()
    shipped = weights.load(restorer.CONTRACT.name)
    assert all(torch.equal(value, shipped[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", command.COURSES)
def test_every_course_has_its_recipe_and_contract(name: str) -> None:
    course = command.COURSES[name]
    recipe, contract = course.make(name, {})
    assert recipe.name == contract.name == (course.file or name)
    assert recipe.batch_size > 0


def test_every_option_of_a_recipe_is_a_field_of_one() -> None:
    known = {f.name for course in command.COURSES.values() for f in fields(command.recipe_class(course))}
    assert set(command.FIELDS) <= known


def test_an_option_that_a_recipe_does_not_have_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "detector", "--data", str(folder), "--steps", "1", "--teacher", str(tmp_path)]
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert "The detector does not take --teacher" in capsys.readouterr().err


def test_a_model_is_trained_and_judged_by_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    common = ["--data", str(folder)]
    cli.main(
        [
            "train",
            "detector",
            *common,
            "--steps",
            "2",
            "--batch-size",
            "1",
            "--run",
            str(run),
            "--learning-rate",
            "1e-4",
        ]
    )
    assert str(run / "best.safetensors") in capsys.readouterr().out
    trained, held_out = ((run / name).read_text().splitlines() for name in ("train.txt", "held-out.txt"))
    assert len(trained) == 2
    assert len(held_out) == 1
    judged = [
        "evaluate",
        "detector",
        "--data",
        str(run / "held-out.txt"),
        "--weights",
        str(run / "best.safetensors"),
    ]
    cli.main([*judged, "--json"])
    figures = json.loads(capsys.readouterr().out)
    last = (run / "log.csv").read_text().splitlines()
    logged = dict(zip(last[0].split(","), last[-1].split(","), strict=True))
    assert {key: pytest.approx(float(logged[key]), abs=1e-6) for key in figures} == figures
    cli.main(["evaluate", "restorer", "--data", str(folder)])
    shown = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert float(shown["psnr_noise25"]) > 28  # the shipped weights: the noise itself leaves 20.5


def test_weights_of_another_model_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file(Encoder((8, 8, 8, 8, 8)).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(SystemExit):
        cli.main(
            ["evaluate", "detector", "--data", str(folder), "--weights", str(tmp_path / "other.safetensors")]
        )
    assert "no weights of the detector" in capsys.readouterr().err


def test_help_on_training_loads_no_torch() -> None:
    code = (
        "import sys, argparse\n"
        "from calotype.train import command\n"
        "parser = argparse.ArgumentParser()\n"
        "command.add(parser.add_subparsers())\n"
        "parser.parse_args(['train', 'encoder', '--data', '.'])\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
