"""calotype batch: every picture of a folder through one operation or several, with a report.

What is done is written down as it is done, so that a run which was interrupted goes on where it was.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from calotype import asking
from calotype.portfolio import shelf
from calotype_wire import params
from calotype_wire.client import Request
from calotype_wire.errors import CalotypeError

JOURNAL = "batch.jsonl"

REPORT_EVERY_S = 2.0

NO_ENGINE = ("NOT_INSTALLED", "NOT_STARTED", "REFUSED", "SANDBOXED", "VERSION")
"""Codes of errors that the next picture would meet, too."""


@dataclass(frozen=True)
class Step:
    """An operation, and the parameters that were given for it. files: those that these name."""

    operation: str
    values: dict[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """One picture. name, output: relative to the folders, '/' between parts. stamp: of the file and of what
    was asked for, by which it is known again. error: what went wrong, as a sentence; otherwise ''.
    """

    name: str
    stamp: str
    output: str = ""
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "batch", help="run operations on a folder of pictures, and write a report", description=__doc__
    )
    command.add_argument("folder", type=Path, help="of pictures; those in folders in it, too")
    command.add_argument("out", type=Path, help="folder for the new pictures and the report")
    command.add_argument(
        "operations",
        nargs="+",
        metavar="OPERATION",
        help="one after another, with their parameters: denoise enhance:fading=50,cast=0",
    )
    command.add_argument("--check", action="store_true", help="look for what went wrong, and score it")
    command.add_argument("--correct", action="store_true", help="and repair what can be made better")
    command.add_argument("--json", action="store_true", help="print a line of JSON for each picture")
    command.set_defaults(command=_batch)


def _batch(options: argparse.Namespace) -> None:
    from calotype import batch_report, cli

    finish = "correct" if options.correct else "check" if options.check else "off"
    steps = parsed(options.operations, cli.offered(), finish)
    pictures, done = _pictures(options.folder, options.out)
    count = len(pictures) + len(done)
    reported = 0.0

    def lost(error: OSError) -> CalotypeError:
        sentence = f"{_shown(str(options.out))} could not be written: {error.strerror}."
        return CalotypeError("NOT_WRITTEN", f"{sentence} {len(done)} of {count} are done.")

    def report() -> None:
        try:
            batch_report.write(options.out, options.folder.name, done, count)
        except OSError as error:
            raise lost(error) from None

    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for each in done:
            _tell(options, each)
        for each in _worked_through(pictures, steps, options):
            done.append(each)
            _tell(options, each)
            if time.monotonic() > reported + REPORT_EVERY_S:
                report()
                reported = time.monotonic()
        report()
    except OSError as error:
        raise lost(error) from None
    except (CalotypeError, KeyboardInterrupt) as stop:
        if done:
            report()
        if isinstance(stop, CalotypeError) and stop.code != "CANCELLED":
            raise
        sentence = f"Stopped: {len(done)} of {count} are done. Type it again to go on."
        raise CalotypeError("CANCELLED", sentence) from None
    failed = sum(bool(each.error) for each in done)
    _say(options, f"{len(done) - failed} pictures are in {options.out}; the report is report.html there.")
    if failed:
        sentence = (
            f"{failed} of {len(done)} pictures failed: the report says why. Run it again to retry them."
        )
        raise CalotypeError("BATCH_FAILED", sentence)


def _worked_through(pictures: list[Path], steps: list[Step], options: argparse.Namespace) -> Iterator[Done]:
    """Each picture's; of those that an earlier run has done, what it wrote down."""
    journal = options.out / JOURNAL
    known = _known(journal)
    fresh = 0
    torn = journal.exists() and not journal.read_bytes().endswith(b"\n")
    with journal.open("a", encoding="utf-8") as lines:
        lines.write("\n" if torn else "")
        for index, path in enumerate(pictures):
            name = path.relative_to(options.folder).as_posix()
            stamp = _stamp(path, steps)
            found = known.get(name)
            if found is None or found.stamp != stamp or found.error or not (options.out / name).exists():
                _say(options, f"{index + 1} of {len(pictures)}: {name}")
                fresh += 1
                found = _one(path, options.out / name, Done(name, stamp), steps, options.json)
                lines.write(json.dumps(asdict(found)) + "\n")
                lines.flush()
            yield found
    if not fresh:
        _say(options, "Nothing was left to do.")


def _tell(options: argparse.Namespace, each: Done) -> None:
    if options.json:
        print(json.dumps(asdict(each)))
    elif each.error:
        print(f"  {_shown(each.error)}", file=sys.stderr)


def _say(options: argparse.Namespace, sentence: str) -> None:
    if not options.json:
        print(_shown(sentence))


def _shown(text: str) -> str:
    """Names of files may be no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def parsed(texts: list[str], known: list[params.Operation], finish: str) -> list[Step]:
    """Of 'NAME:PARAMETER=VALUE,...'; the last one ends with finish. Raises CalotypeError."""
    steps = []
    for text in texts:
        name, _, rest = text.partition(":")
        operation = params.find(known, name.replace("-", "_"))
        if operation.background or operation.report:
            raise CalotypeError("BAD_PARAMETER", f"{operation.label} makes no pictures: leave it out.")
        values = {}
        files: list[str] = []
        for pair in re.split(r",(?=\s*[\w-]+\s*=)", rest) if rest else []:  # values may have commas
            key, equals, value = pair.partition("=")
            key = key.strip().replace("-", "_")
            kinds = {p.name: p for p in operation.parameters}
            if not equals or key not in kinds:
                names = ", ".join(kinds)
                raise CalotypeError("BAD_PARAMETER", f"'{pair}' is no parameter of {name}. It has: {names}.")
            values[key] = _value(kinds[key], value.strip())
            if isinstance(kinds[key], params.File):
                files.append(values[key])
            elif isinstance(kinds[key], params.Style):
                files.append(str(shelf.file_of(values[key])))
            elif key == "blend":
                named = [part.partition(":")[0].strip() for part in values[key].split(",")]
                files += [str(shelf.file_of(name)) for name in named]
        steps.append(Step(operation.name, values, tuple(files)))
    if finish != "off":
        last = params.find(known, steps[-1].operation)
        if "check" not in [parameter.name for parameter in last.parameters]:
            sentence = f"{last.label} ends without a check. Put an operation last that makes a picture."
            raise CalotypeError("BAD_PARAMETER", sentence)
        steps[-1] = replace(steps[-1], values=steps[-1].values | {"check": finish})
    for step in steps:
        params.find(known, step.operation).check(step.values)
    return steps


def _value(parameter: params.Parameter, text: str) -> Any:
    if isinstance(parameter, params.OtherLayer | params.Pictures | params.Palette):
        raise CalotypeError("BAD_PARAMETER", f"{parameter.label} cannot be given for a whole folder.")
    if isinstance(parameter, params.Toggle):
        if text.lower() not in ("yes", "no", "true", "false", "on", "off"):
            raise CalotypeError("BAD_PARAMETER", f"{parameter.label} must be yes or no, not '{text[:20]}'.")
        return text.lower() in ("yes", "true", "on")
    if isinstance(parameter, params.Number):
        try:
            return int(text) if parameter.whole else float(text)
        except ValueError:
            sentence = f"{parameter.label} must be a number, not '{text[:20]}'."
            raise CalotypeError("BAD_PARAMETER", sentence) from None
    return os.path.abspath(text) if isinstance(parameter, params.File) else text


def _pictures(folder: Path, out: Path) -> tuple[list[Path], list[Done]]:
    """Those in folder but not in out, and what of it could not be looked into."""
    from calotype.train.data import SUFFIXES

    if not folder.is_dir():
        wrong = f"{folder} is no folder" if folder.exists() else f"There is no folder {folder}"
        raise CalotypeError("BAD_FILE", f"{wrong}. Name one with pictures in it.")
    if out.resolve() == folder.resolve():
        sentence = "The new pictures would replace the old ones. Name another folder for them."
        raise CalotypeError("BAD_FILE", sentence)
    found: list[Path] = []
    unread: list[OSError] = []
    for where, folders, names in os.walk(folder, onerror=unread.append):
        folders[:] = [each for each in folders if Path(where, each).resolve() != out.resolve()]
        paths = [Path(where, name) for name in names if Path(name).suffix.lower() in SUFFIXES]
        found += [path for path in paths if os.path.isfile(path)]
    closed = [
        Done(
            Path(error.filename).relative_to(folder).as_posix(),
            "",
            error=f"{error.filename} was not read: {error.strerror}.",
        )
        for error in unread
    ]
    if not found and not closed:
        raise CalotypeError("BAD_FILE", f"There is no JPEG, PNG, TIFF or WebP picture in {folder}.")
    return sorted(found), closed


def _known(journal: Path) -> dict[str, Done]:
    """What earlier runs have done. A line that was torn by a power cut is left out."""
    found: dict[str, Done] = {}
    if journal.exists():
        for line in journal.read_text("utf-8", "replace").splitlines():
            try:
                done = Done(**json.loads(line))
            except (ValueError, TypeError):
                continue
            found[done.name] = done
    return found


def _stamp(path: Path, steps: list[Step]) -> str:
    named = [Path(name) for step in steps for name in step.files]
    return json.dumps([[_about(each) for each in (path, *named)], [asdict(step) for step in steps]])


def _about(path: Path) -> list[int]:
    """Empty where there is no such file: then reading it says so, or a style is no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return []
    return [found.st_size, found.st_mtime_ns]


def _one(path: Path, target: Path, done: Done, steps: list[Step], quiet: bool) -> Done:
    from calotype.image import files

    began = time.monotonic()
    try:
        document = files.read(path)
        layer, facts = document.layer, {}
        for step in steps:
            result = asking.answer(Request(step.operation, [layer], step.values, priority="batch"), quiet)
            layer, facts = result.layers[0], result.facts
        target.parent.mkdir(parents=True, exist_ok=True)
        files.write(target, layer, document, asking.remark(facts))
    except (CalotypeError, OSError) as failure:
        if isinstance(failure, CalotypeError):
            if failure.code in ("CANCELLED", *NO_ENGINE):
                raise
            error = failure.sentence
        else:
            error = f"{done.name} could not be written: {failure.strerror}."
        return replace(done, error=error, seconds=round(time.monotonic() - began, 1))
    told: dict[str, Any] = {key: facts[key] for key in ("quality", "check", "report") if key in facts}
    if document.note:
        told["report"] = [document.note, *told.get("report", [])]
    told["size"] = [layer.width, layer.height]
    seconds = round(time.monotonic() - began, 1)
    return replace(done, output=done.name, seconds=seconds, facts=told)
