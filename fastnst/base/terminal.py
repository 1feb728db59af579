"""Text of strangers on a terminal: names in files, names of files, values of recipes."""

import re

#: Control characters but for new lines and tabs, and marks that turn the direction of text, in which a name can hide.
COMMANDING = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"


def shown(text: str) -> str:
    r"""The text, with question marks for characters that command a terminal.

    Example:
        >>> shown("wave\x1b[2J")
        'wave?[2J'
    """
    return re.sub(f"[{COMMANDING}]", "?", text)
