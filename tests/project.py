"""What the project ships, whatever a user has trained, painted or left in the clone."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def tracked(folder: str) -> list[Path]:
    """The files of a folder that git holds."""
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, check=True, text=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


#: `fastnst` as a process that computes in float32 on every processor, as tests do that compare pictures.
EXACT = (
    sys.executable,
    "-c",
    "import torch; torch.cpu.get_capabilities = dict; from fastnst.cli import main; main()",
)
