"""The command `fastnst export`."""

import json
import logging
from typing import Annotated, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastnst.base.commands import DONE, SOME_FAILED, Flat, quieten
from fastnst.exporting.settings import ExportSettings

log = logging.getLogger("fastnst")


def export(settings: Annotated[ExportSettings, Flat]) -> int:
    """Write a style as files that run without fastnst, each compared with the network.

    Args:
        settings: Flags.
    """
    from fastnst.exporting.formats import plan

    quieten(settings.quiet)
    plan(settings)  # before torch is loaded, so that a mistake is told at once
    from fastnst.exporting.export import errors_of, write_files
    from fastnst.exporting.proof import ProofError

    result = write_files(settings)
    if settings.json:
        print(json.dumps(result))
    if result["failed"] == len(result["files"]):
        raise ProofError(errors_of(result))
    if result["failed"]:
        log.error("%s", errors_of(result))
    if not settings.json and not settings.quiet:
        Console().print(_table(result["files"]))
    return SOME_FAILED if result["failed"] else DONE


def _table(files: list[dict[str, Any]]) -> Table:
    table = Table("file", "MB", "photos", "largest difference", "PSNR", box=None)
    for report in files:
        for i, size in enumerate(report.get("proof", ())):
            file = (report["path"], f"{report['bytes'] / 1e6:.2f}") if i == 0 else ("", "")
            batch, height, width = size["size"]
            photos = f"{batch} of {width}x{height}"
            shown = (Text(text, overflow="fold") for text in file)
            table.add_row(*shown, photos, f"{size['largest_difference']:.1e}", f"{size['psnr']:.1f} dB")
    return table
