"""The Qt that the running Krita is built with: 5 up to Krita 5, 6 from Krita 6 on."""

from krita import Krita

if Krita.instance().version().startswith("5"):
    from PyQt5 import QtCore, QtGui, QtWidgets
else:
    from PyQt6 import QtCore, QtGui, QtWidgets

__all__ = ["QtCore", "QtGui", "QtWidgets"]
