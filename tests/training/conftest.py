from pathlib import Path

import pytest
from photo_folders import save_photo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve photos in two folders."""
    for number in range(12):
        save_photo(tmp_path / f"photos/{'even' if number % 2 == 0 else 'odd'}/{number}.png", number * 10)
    return tmp_path / "photos"
