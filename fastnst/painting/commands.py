"""The commands `fastnst apply`, `fastnst texture`, `fastnst styles` and `fastnst info`."""

import difflib
import logging
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from fastnst.base.commands import DONE, SOME_FAILED, Flat, Json, quieten
from fastnst.painting.settings import ApplySettings, TextureSettings

log = logging.getLogger("fastnst")


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
    from fastnst.painting.jobs import check_cluster, check_raw, check_watch, plan

    if settings.frame_size is not None:
        check_raw(photo, settings)
        from fastnst.painting.raw import paint_raw

        paint_raw(settings)
        return DONE
    if settings.watch:
        check_watch(photo, settings)
        from fastnst.painting.watch import watch

        watch(photo, settings)
        return DONE
    if settings.cluster:
        check_cluster(photo, settings)
        from fastnst.painting.collection import paint_collection

        return SOME_FAILED if paint_collection(photo, settings) else DONE
    jobs = plan(photo, settings)  # before anything heavy is loaded, so that a mistake is told at once
    from fastnst.painting.apply import paint

    return SOME_FAILED if paint(jobs, settings) else DONE


def texture(painting: str, /, *, settings: Annotated[TextureSettings, Flat] = TextureSettings()) -> int:  # noqa: B008
    """Make a texture of a painting: its brush work without its subject.

    Args:
        painting: A picture, `sample:wave`, or a blend `a.jpg:0.6,b.jpg:0.4`.
        settings: Flags.
    """
    from fastnst.base.files import check_place
    from fastnst.images.formats import ImageError, check_suffix
    from fastnst.universal.names import find_network, find_paintings, painted_name

    quieten(settings.quiet)
    paintings = find_paintings(painting)
    if not paintings:
        raise ImageError(f"{painting} is not a picture: textures are made of paintings")
    find_network()
    output = settings.output or Path(f"{painted_name(paintings)}-texture.png")
    check_suffix(output)
    check_place(output)
    if output.exists() and not settings.force:
        raise ImageError(f"{output} exists: --force replaces it")
    from fastnst.images.write import save_image
    from fastnst.painting.texture import texture as make

    size = (settings.size, settings.size)
    image = make(painting, size=size, seed=settings.seed, stroke=settings.stroke, device=settings.device)
    save_image(image, output, stylized=True, replace=settings.force)
    log.info("%s", output)
    return DONE


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
