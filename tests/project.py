"""What the project ships, whatever a user has trained, painted or left in the clone."""

import getpass
import re
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def tracked(folder: str) -> list[Path]:
    """The files of a folder that git holds."""
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, check=True, text=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


#: Places of people and of machines that build, in bytes; in documents, examples of them have no name.
PLACES = re.compile(rb"/(?:root|home/[a-z]\w+|Users/\w+|work/|workspace|tmp/[\w.-]+/|opt/[\w.-]+/|build/\w+/)[\w./-]*")
HERE = {str(ROOT), str(Path.home()), sys.prefix, sys.base_prefix, socket.gethostname(), f"/{getpass.getuser()}/"}


def traces(data: bytes) -> set[bytes]:
    """What in the bytes tells where they were made."""
    names = {name.encode() for name in HERE if len(name) > 4 and name.encode() in data}
    made_up = (b"/home/web_user", b"/home/painter")  # of WebAssembly's compiler, in every program, and of the container
    return names | {place for place in PLACES.findall(data) if not place.startswith(made_up)}


#: `fastnst` as a process that computes in float32 on every processor, as tests do that compare pictures.
EXACT = (
    sys.executable,
    "-c",
    "import torch; torch.cpu.get_capabilities = dict; from fastnst.cli import main; main()",
)
