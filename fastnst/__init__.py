"""Fast neural style transfer: train a style in minutes, paint any photo in one pass."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnst.stylize import Stylizer

__version__ = "0.1.0"
__all__ = ["Stylizer", "__version__"]


def __getattr__(name: str) -> Any:
    """`Stylizer` when it is asked for: it imports torch, which takes a second that `fastnst --help` has not."""
    if name == "Stylizer":
        from fastnst.stylize import Stylizer

        return Stylizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
