"""The page in the browser, as files: built from `web/`, and ready for any static host."""

from pathlib import Path

from fastnst.base.files import write_whole

SITE = Path(__file__).parent / "site"
#: What a host should send with every file, so that the page may use threads, and of the visitor's device no more than
#: the camera; without, its service worker adds it.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(self), display-capture=(), geolocation=(), microphone=()",
}


def write_page(folder: Path) -> list[Path]:
    """Copy the page into a folder; files of the same names are replaced.

    Returns:
        The files, without their folder.
    """
    files = sorted(path.relative_to(SITE) for path in SITE.rglob("*") if path.is_file())
    for file in files:
        write_whole(folder / file, (SITE / file).read_bytes())
    return files
