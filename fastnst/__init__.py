"""Fast neural style transfer: train a style in minutes, paint any photo in one pass.

The public names, listed with their types in `__init__.pyi`, are imported when first used: torch takes a second,
which `fastnst --help` should not.

Shapes in docstrings: B batch, C channels, H height, W width. Images are `(B, 3, H, W)`, sRGB in [0, 1].
"""

import lazy_loader

__version__ = "0.3.0.dev0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
