"""The commands `fastnst apply`, `fastnst styles` and `fastnst info`."""

import difflib
from dataclasses import fields
from typing import Annotated, Any

from cyclopts import Parameter

from fastnst.base.commands import DONE, SOME_FAILED, Flat, Json, quieten
from fastnst.painting.settings import ApplySettings


def _no_option(_: Any, word: str) -> None:
    """Refuse a word with a hyphen as a photo; only `-` is one, standard input."""
    if word.startswith("-") and word != "-":
        flags = [f"--{field.name.replace('_', '-')}" for field in fields(ApplySettings)]
        close = difflib.get_close_matches(word, flags, n=1)
        raise ValueError(
            f"unknown option {word}; {f'did you mean {close[0]}?' if close else 'see fastnst apply --help'}"
        )


def apply(
    *photo: Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)],
    settings: Annotated[ApplySettings, Flat],
) -> int:
    """Paint photos and videos in a trained style.

    Args:
        photo: Files, folders, `sample:astronaut`, or `-` for standard input.
        settings: Flags.
    """
    quieten(settings.quiet)
    if settings.camera is not None:
        from fastnst.painting.live import paint_live

        paint_live(photo, settings)
        return DONE
    from fastnst.painting.jobs import plan

    jobs = plan(photo, settings)  # before torch is loaded, so that a mistake is told at once
    from fastnst.painting.apply import paint

    return SOME_FAILED if paint(jobs, settings) else DONE


def styles(name: str | None = None, /, *, json: Json = False) -> int:
    """List the styles in ./checkpoints and the shipped ones, or describe one.

    Args:
        name: A style or a style file, to print its description.
        json: Print one JSON object a style file.
    """
    from fastnst.painting.styles import describe_style, print_styles

    if name is None:
        print_styles(as_json=json)
    else:
        describe_style(name, as_json=json)
    return DONE


def info(*, devices: Json = False, json: Json = False) -> int:
    """Show versions and cores.

    Args:
        devices: Also what torch finds: threads, CUDA, MPS (loads torch).
        json: Print one JSON object.
    """
    from fastnst.painting.styles import print_info

    print_info(devices=devices, as_json=json)
    return DONE
