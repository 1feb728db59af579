"""Versions of installed packages. Imports nothing heavy."""

from importlib.metadata import PackageNotFoundError, version


def installed_version(package: str) -> str | None:
    """Version of a distribution; None if it is not installed, or its modules came with another one."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
