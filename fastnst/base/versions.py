"""Versions of installed packages. Imports nothing heavy."""

from importlib.metadata import PackageNotFoundError, version

from fastnst import __version__


def installed_version(package: str) -> str | None:
    """Version of a distribution; None if it is not installed, or its modules came with another one."""
    if package == "fastnst":
        return __version__  # what an editable installation says may be older
    try:
        return version(package)
    except PackageNotFoundError:
        return None
