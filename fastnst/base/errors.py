"""Errors caused by bad input, shown as one line. Everything else that is raised is a bug and shows its traceback.

UserError(ValueError)
    ImageError       a picture that cannot be read or written        images/formats.py
    LossNetworkError an unknown layer, network or weights file       perception/weights.py
    DataError        photos that cannot be found or read             training/sources.py
    StyleFileError   a style that is missing, broken or no style     networks/catalog.py
    TrainingError    a run that cannot start or be resumed           here
Interrupted(Exception)   stopped by a signal; what was done is saved
"""


class UserError(ValueError):
    """Bad input. The message is one line: what was expected, what came, what to do."""


class TrainingError(UserError):
    """A run that cannot start or be resumed."""


class Interrupted(Exception):
    """Stopped by Ctrl-C or SIGTERM; the message says what was saved and how to resume."""
