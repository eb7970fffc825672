"""calotype train and calotype evaluate."""

import argparse
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from calotype_wire.errors import CalotypeError

if TYPE_CHECKING:
    from calotype.models.contract import Contract
    from calotype.train.recipe import Recipe


@dataclass(frozen=True)
class Course:
    """Where a model's recipe class and contract are; both are imported only when they are needed.

    file: of its weights, where it is not called as the model.
    """

    recipe: str
    contract: str
    file: str = ""

    def make(self, name: str, given: dict[str, Any]) -> "tuple[Recipe, Contract]":
        """given: fields of the recipe. Raises CalotypeError where it has no such field."""
        recipe = recipe_class(self)
        for field in set(given) - {f.name for f in fields(recipe)}:
            flag = "--" + field.replace("_", "-")
            raise CalotypeError("BAD_PARAMETER", f"The {name} does not take {flag}. Leave it out.")
        contract: Contract = resolve_name(f"calotype.models.{self.contract}")
        return recipe(**given), replace(contract, name=self.file or name)


COURSES = {
    "restorer": Course("restorer:RestorerRecipe", "restorer:CONTRACT"),
    "restorer-detail": Course("restorer_gan:RestorerDetailRecipe", "restorer:CONTRACT"),
    "detector": Course("detector:DetectorRecipe", "detector:CONTRACT"),
    "dual": Course("dual:DualRecipe", "dual:CONTRACT"),
    "encoder": Course("encoder:EncoderRecipe", "encoder:CONTRACT"),
    "quality": Course("anomaly:AnomalyRecipe", "anomaly:CONTRACT", "anomaly"),
    "quality-gate": Course("anomaly:GateRecipe", "anomaly:GATE", "anomaly-gate"),
    "tone": Course("tone:ToneRecipe", "tone:CONTRACT"),
    "upscale2": Course("upscaler:Upscale2Recipe", "upscaler:X2"),
    "upscale4": Course("upscaler:Upscale4Recipe", "upscaler:X4"),
}


STYLE = "style"
"""Is trained by 'calotype train-style', and judged like all others."""


def recipe_class(course: Course) -> Any:
    return resolve_name(f"calotype.train.{course.recipe}")


def add(commands: Any) -> None:
    train = commands.add_parser("train", help="train a model from a folder of photos")
    _add_recipe(train)
    train.add_argument("--held-out", type=Path, help="folder of photos to judge by; otherwise some of --data")
    train.add_argument("--run", type=Path, help="folder for checkpoints and logs; otherwise runs/MODEL")
    train.add_argument("--minutes", type=float, help="time to train")
    train.add_argument("--steps", type=int, help="steps to train; repeats exactly")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--learning-rate", type=float, help="otherwise the recipe's")
    train.add_argument("--batch-size", type=int, help="samples a step; otherwise the recipe's")
    train.add_argument("--workers", type=int, default=0, help="processes that prepare samples")
    train.add_argument("--ship", action="store_true", help="make this engine use the result")
    train.set_defaults(command=_train)

    evaluate = commands.add_parser("evaluate", help="judge a model on a folder of photos")
    _add_recipe(evaluate, STYLE)
    evaluate.add_argument("--name", help="of the style: one of yours, or of the catalogue")
    evaluate.add_argument("--weights", type=Path, help="a run's best.safetensors; otherwise the shipped ones")
    evaluate.add_argument("--json", action="store_true", help="print the figures as JSON")
    evaluate.set_defaults(command=_evaluate)


def _add_recipe(command: argparse.ArgumentParser, *others: str) -> None:
    command.add_argument("model", choices=sorted([*COURSES, *others]))
    command.add_argument("--data", type=Path, required=True, help="folder of clean photos")
    command.add_argument("--overlays", type=Path, help="of the detector: folder of pictures of real damage")
    command.add_argument("--teacher", type=Path, help="of the encoder: folder with the network to learn from")
    command.add_argument("--paintings", type=Path, help="of the encoder: folder of paintings, beside --data")
    command.add_argument("--styles", type=Path, help="of dual: folder of paintings")
    command.add_argument("--critic", choices=["unet", "patch"], help="of restorer-detail: what judges it")
    command.add_argument(
        "--contest", choices=["relativistic", "hinge"], help="of restorer-detail: the adversarial loss"
    )
    for model, terms in LOSSES.items():
        for term in terms:
            command.add_argument(
                f"--{term}", type=float, metavar="WEIGHT", help=f"of {model}: of the {term} loss"
            )


LOSSES = {
    "restorer-detail": ("pixels", "structural", "perceptual", "adversarial"),
    "dual": ("colour", "histogram", "content", "style"),
}

FIELDS = (
    "overlays",
    "teacher",
    "paintings",
    "styles",
    "critic",
    "contest",
    "learning_rate",
    "batch_size",
    *(term for terms in LOSSES.values() for term in terms),
)
"""Options that are fields of recipes."""


def _course(options: argparse.Namespace) -> "tuple[Recipe, Contract]":
    values = {name: getattr(options, name, None) for name in FIELDS}
    given = {name: value for name, value in values.items() if value is not None}
    return COURSES[options.model].make(options.model, given)


def _train(options: argparse.Namespace) -> None:
    from safetensors.torch import load_file

    from calotype.models import weights
    from calotype.train import loop, processes, split

    if options.steps is None and options.minutes is None:
        raise CalotypeError("BAD_PARAMETER", "Say how long to train: --minutes N or --steps N.")
    recipe, contract = _course(options)
    run = options.run or Path("runs") / options.model
    schedule = loop.Schedule(options.steps, options.minutes)
    here = processes.begin()
    if here.rank == 0:
        for note in split.prepare(options.data, options.held_out, run):
            print(note)
    here.wait()  # for the lists
    train, held_out = run / split.TRAIN, run / split.HELD_OUT
    best = loop.train(
        recipe, train, held_out, run, schedule, options.seed, here.device, options.workers, here
    )
    if here.rank != 0:
        return
    print(f"The best weights are in {best}")
    if options.ship:
        weights.ship(load_file(best), contract)
        print("This engine uses them from now on.")


def _evaluate(options: argparse.Namespace) -> None:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from calotype.models import weights
    from calotype.train.processes import best_device

    if options.model == STYLE:
        _print(_judged(options.name or "", options.data), options.json)
        return
    recipe, contract = _course(options)
    network = recipe.network()
    try:
        network.load_state_dict(
            load_file(options.weights) if options.weights else weights.load(contract.name)
        )
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CalotypeError(
            "BAD_WEIGHTS",
            f"{options.weights or contract.name} holds no weights of the {options.model}. "
            "Name others with --weights.",
        ) from error
    placed = network.to(best_device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode():
        figures = recipe.evaluate(placed.eval(), options.data)
    _print(figures, options.json)


def _judged(name: str, folder: Path) -> dict[str, float]:
    """Figures of a style on the photos of folder."""
    from calotype.models import device as devices
    from calotype.models import dual, manner
    from calotype.train import style

    learnt = manner.named(name, dual.shipped(devices.choose(0)))
    return style.judged(learnt, folder, devices.choose(0).name)


def _print(figures: dict[str, float], as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{key}: {value:.4g}" for key, value in figures.items()))
