"""What scenarios of trainings and of styles share: the pane, what was told, the manager; run inside Krita."""

import time

from calotype_krita.styles import StylesDialog, show_styles
from krita_stage import *


def learning():
    return studio().learning


def training_operation():
    return next(o for o in studio().operations if o.background)


def docker_on(name):
    docker = docker_of(app.activeWindow())
    docker.setVisible(True)
    docker.raise_()
    docker.choose(name)
    return docker


def trained(**values):
    """Run is pressed in a form with these values."""
    docker = docker_on(training_operation().name)
    docker.form.reset()
    for name, value in values.items():
        docker.form.fields[name].set_value(value)
    docker.start.click()
    return docker


def patiently(ready):
    """A learner gives way to all others: where the machine is busy, it takes its time."""
    for _ in range(12):
        since = time.monotonic()
        yield lambda: ready() or time.monotonic() - since > 45  # noqa: B023 asked at once
        if ready():
            return
    raise AssertionError(f"waited in vain; {learning().last}, {learning().outcome}")


def ended():
    return not learning().job


def told():
    outcome = learning().outcome
    return outcome.failed, " ".join(outcome.sentences)


def at_rest():
    return [each["name"] for each in learning().at_rest]


def style_names():
    return [style["name"] for style in learning().styles or []]


def manager():
    """The window of the styles, once it lists them."""
    show_styles()
    return app.activeWindow().qwindow().findChild(StylesDialog)


def learner_pid():
    """Of the engine's children, the one that gives way to the others."""
    for name in os.listdir("/proc"):
        try:
            fields = open(f"/proc/{name}/stat").read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == engine_pid() and int(fields[16]) > 0:
            return int(name)
    raise AssertionError("nothing learns")
