"""The version of this engine."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("calotype")
except PackageNotFoundError:  # a checkout that is not installed
    VERSION = "0+checkout"
