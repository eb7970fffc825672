"""Calotype in Krita: a docker and a menu, and new layers from the engine."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "vendor"))

from krita import DockWidgetFactory, DockWidgetFactoryBase, Krita

from calotype_krita.docker import CalotypeDocker
from calotype_krita.menu import CalotypeMenu

Krita.instance().addExtension(CalotypeMenu(Krita.instance()))
Krita.instance().addDockWidgetFactory(
    DockWidgetFactory("calotype", DockWidgetFactoryBase.DockRight, CalotypeDocker)
)
