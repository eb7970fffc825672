"""One run of a filter, from the layer that was chosen to the layers that are added."""

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import form
import lastlayers
import pictures
import pixels
import progress
import results
from gi.repository import Gimp
from record import Record

from calotype_wire import params, places
from calotype_wire.client import Catalogue, Request
from calotype_wire.errors import CalotypeError
from calotype_wire.params import Operation
from calotype_wire.session import Session, known_operations

add_arguments = form.add_arguments

Status = Gimp.PDBStatusType
CALLERS = ("BAD_INPUT", "BAD_PARAMETER", "EMPTY_SELECTION")
"""Codes of what the user, or a script, can put right."""

RESUME = "Paused: resume it in Calotype > Styles."


@dataclass(frozen=True)
class Outcome:
    status: Gimp.PDBStatusType
    sentence: str = ""
    layer: Gimp.Layer | None = None
    document: Gimp.Image | None = None


def by_name() -> dict[str, Operation]:
    """The operations of the cached catalogue by the end of their procedure's name."""
    return {operation.name.replace("_", "-"): operation for operation in known_operations()}


def menu_label(operation: Operation) -> str:
    label = operation.label.replace("_", "__")
    return f"{label}..." if form.asks(operation) else label


def _answered(work: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """work with a session of its own as the first argument; what goes wrong becomes an outcome."""

    def answered(*arguments: Any) -> Outcome:
        session = Session("GIMP")
        try:
            return work(session, *arguments)
        except CalotypeError as error:
            return _failure(error)
        except Exception:  # noqa: BLE001 GIMP shows nothing at all where a plug-in ends with a traceback
            return _bug()
        finally:
            session.close()

    return answered


@_answered
def run(
    session: Session,
    operation: Operation,
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
) -> Outcome:
    procedure.get_plug_in().set_pdb_error_handler(Gimp.PDBErrorHandler.PLUGIN)  # no dialogs but ours
    layer = None if operation.background else pixels.chosen_layer(image, drawables)
    on_screen = run_mode != Gimp.RunMode.NONINTERACTIVE and progress.has_screen()
    if run_mode == Gimp.RunMode.INTERACTIVE and on_screen and form.asks(operation):
        import dialog  # needs a screen

        newest = dialog.ask(operation, procedure, config, image, layer, session)
        if newest is None:
            return Outcome(Status.CANCEL)
        operation = newest
    if run_mode == Gimp.RunMode.WITH_LAST_VALS:
        lastlayers.bring_back(image, operation, config)
    elif on_screen:
        lastlayers.keep(image, operation, config)
    values, others = form.values(operation, config)
    parameters = operation.check(values)
    if layer is None:
        what = form.wanted(operation, parameters)
        request = pictures.request(operation, parameters, what, image, drawables, others)
        outcome = learn(session, operation, request, on_screen)
        if run_mode == Gimp.RunMode.INTERACTIVE:
            form.forget_name(operation, config)  # the next style needs one of its own
        return outcome
    source = pixels.source(image, pixels.target(layer, others), operation.whole)
    request = Request(
        operation.name,
        [source.layer, *(pixels.whole(other) for other in others)],
        parameters,
        source.selection,
        "alpha",
    )
    with progress.shown(operation.label, on_screen) as meter:
        result = progress.wait(session, request, meter)
        meter.busy("Adding the result")
        progress.turn(meter)
        record = Record.of(operation, request, result)
        added = results.insert(source, result.layers, record, on_screen, operation.report)
    if on_screen:  # a script reads the record
        _tell(record)
    return Outcome(Status.SUCCESS, "", added.layer, added.document)


def learn(session: Session, operation: Operation, request: Request, on_screen: bool) -> Outcome:
    """One run of an operation of the background: there is nothing to add to an image."""
    with progress.shown(operation.label, on_screen, learns=True) as meter:
        result = progress.wait(session, request, meter)
        meter.busy("Looking at the styles")
        progress.wait_for_styles(session, meter)  # whoever is next can choose it
    if on_screen:
        _tell(Record.of(operation, request, result))
    return Outcome(Status.SUCCESS)


@_answered
def styles(session: Session, run_mode: Gimp.RunMode) -> Outcome:
    """Look after the styles."""
    if run_mode == Gimp.RunMode.NONINTERACTIVE or not progress.has_screen():
        raise pixels.bad_input(
            "Styles are looked after in a window. Scripts choose a style by its name, as a text; "
            "'calotype styles' does the rest."
        )
    import stylebook  # needs a screen

    stylebook.Window(session).run()
    return Outcome(Status.SUCCESS)


@_answered
def set_up(session: Session, run_mode: Gimp.RunMode) -> Outcome:
    """Have the engine tell what it can do, for the menu of the next start."""
    on_screen = run_mode != Gimp.RunMode.NONINTERACTIVE and progress.has_screen()
    with progress.shown("Calotype", on_screen) as meter:
        catalogue: Catalogue = progress.wait_for_catalogue(session, meter)
    names = ", ".join(operation.label for operation in params.offered(catalogue.operations))
    Gimp.message(f"Calotype is ready. Start GIMP again, then look below Filters > Calotype for: {names}.")
    return Outcome(Status.SUCCESS)


def _tell(record: Record) -> None:
    _say("\n".join(record.report), record.line)


def _say(report: str, line: str) -> None:
    """Without a box to close: the line in the status bar, or all in the Error Console where that is open."""
    in_console = Gimp.message_get_handler() == Gimp.MessageHandlerType.ERROR_CONSOLE
    told = report if in_console else line
    if told:
        Gimp.message(told)


def _failure(error: CalotypeError) -> Outcome:
    if error.code == "CANCELLED":
        return Outcome(Status.CANCEL)
    if error.code == "PAUSED":
        _say(f"{error.sentence} {RESUME}", RESUME)
        return Outcome(Status.SUCCESS)
    status = Status.CALLING_ERROR if error.code in CALLERS else Status.EXECUTION_ERROR
    return Outcome(status, error.sentence)


def _bug() -> Outcome:
    """Of the exception that is being handled."""
    trace = traceback.format_exc()
    print(trace, file=sys.stderr)  # noqa: T201 GIMP's own log
    log = places.log_file().with_name("gimp.log")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(trace, "utf-8")
    except OSError:
        pass  # the sentence matters more
    return Outcome(
        Status.EXECUTION_ERROR,
        f"Calotype made a mistake; your picture is as it was. Please report it with the file {log}.",
    )
