"""The page in the browser, as files: built from `web/`, and ready for any static host."""

from pathlib import Path

from fastnst.base.files import write_whole

SITE = Path(__file__).parent / "site"
#: What a host should send with every file, so that the page may use threads, that it and its workers talk to this host
#: alone, and that they get no more of the visitor's device than the camera; without, its service worker adds it.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self'; img-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'",
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
