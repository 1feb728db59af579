"""Fast neural style transfer: train a style in minutes, paint any photo in one pass."""

__version__ = "0.1.0"
