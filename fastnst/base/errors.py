"""The errors that are the user's to put right. Everything else that is raised is a bug and shows its traceback.

UserError(ValueError)
    ImageError       a picture that cannot be read or written        images.py
    LossNetworkError an unknown layer, network or weights file       loss_network.py
    DataError        photos that cannot be found or read             sources.py
    StyleFileError   a style that is missing, broken or no style     style_file.py
    TrainingError    a run that cannot begin or go on                here
Interrupted(Exception)   stopped by a signal; what was done is saved
"""


class UserError(ValueError):
    """The message is one line: what was expected, what came, what to do."""


class TrainingError(UserError):
    """A run that cannot begin or go on."""


class Interrupted(Exception):
    """Stopped by Ctrl-C or SIGTERM; the message says what was saved and how to go on."""
