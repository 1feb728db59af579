"""What the project ships, whatever a user has trained, painted or left in the clone."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def tracked(folder: str) -> list[Path]:
    """The files of a folder that git holds."""
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, check=True, text=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]
