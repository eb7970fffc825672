"""Filter > Calotype: one entry for each operation of the catalogue, and the styles."""

from __future__ import annotations

from typing import Any

from krita import Extension, Krita

from calotype_krita.docker import CalotypeDocker, docker_of
from calotype_krita.qt import QtCore, QtWidgets
from calotype_krita.studio import studio
from calotype_krita.styles import show_styles
from calotype_wire import params


class CalotypeMenu(Extension):
    def setup(self) -> None:
        pass

    def createActions(self, window: Any) -> None:  # noqa: N802 Krita's name
        for operation in studio().operations:
            _register(window, operation)
        again = window.createAction("calotype_run", "Run Again", "calotype")
        again.triggered.connect(lambda: _with_docker(lambda docker: docker.run()))
        cancel = window.createAction("calotype_cancel", "Cancel", "calotype")
        cancel.triggered.connect(lambda: studio().cancel(Krita.instance().activeDocument()))
        styles = window.createAction("calotype_styles", "Styles…", "calotype")
        styles.triggered.connect(lambda: show_styles())
        main_window = window.qwindow()  # window itself dies with this call
        QtCore.QTimer.singleShot(0, lambda: _build(main_window, [again, cancel, styles]))


def _register(window: Any, operation: params.Operation) -> Any:
    """An action that shortcuts can be given to. What learns for minutes waits for Run."""
    label = f"{operation.label}…" if operation.background else operation.label
    action = window.createAction(f"calotype_{operation.name}", label, "calotype")
    action.setToolTip(operation.help)
    use = CalotypeDocker.choose if operation.background else CalotypeDocker.run
    action.triggered.connect(lambda: _with_docker(lambda docker: use(docker, operation.name)))
    return action


def _with_docker(use: Any) -> None:
    docker = docker_of(Krita.instance().activeWindow())
    if docker is not None:
        docker.setVisible(True)
        docker.raise_()
        use(docker)


def _build(main_window: Any, always: list[Any]) -> None:
    """The menu bar is empty while Krita calls createActions."""
    bar = main_window.menuBar()
    filters = next(
        (a.menu() for a in bar.actions() if a.menu() and a.menu().objectName().lower() == "filter"), None
    )
    menu = QtWidgets.QMenu("Calotype", main_window)
    (filters or bar).addMenu(menu)

    def fill() -> None:
        """The engine may have learned something since the menu was last open."""
        menu.clear()
        window = Krita.instance().activeWindow()
        for operation in studio().operations:
            known = Krita.instance().action(f"calotype_{operation.name}")
            menu.addAction(known or _register(window, operation))
        if not studio().operations:
            menu.addAction("The engine is not installed: run install.py").setEnabled(False)
        menu.addSeparator()
        menu.addActions(always)

    fill()
    menu.aboutToShow.connect(fill)
