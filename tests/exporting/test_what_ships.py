"""No path, name or host of the machine that made a file stands in it: wheel, shipped files, exported files."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from project import ROOT, traces, tracked


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """The bytes of a file, of an archive those of its members."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                yield f"{path.name}/{member.filename}", archive.read(member)
    else:
        yield path.name, path.read_bytes()


def test_exported_files_tell_nothing_of_their_maker(exported, all_styles) -> None:
    files = [*exported.values(), exported["openvino"].with_suffix(".bin"), all_styles]
    assert len(files) >= 6
    found = {name: traces(data) for path in files for name, data in contents(path)}
    assert not {name: each for name, each in found.items() if each}


def test_shipped_networks_and_recipes_tell_nothing_of_their_maker() -> None:
    files = [
        *tracked("checkpoints"),
        *tracked("configs"),
        *tracked("fastnst/serving/site"),
        *tracked("fastnst/samples"),
    ]
    found = {name: traces(data) for path in files for name, data in contents(path)}
    assert len(found) > 20
    assert not {name: each for name, each in found.items() if each}


def test_what_would_tell_is_found() -> None:
    for text in ("/root/project/x.py", "/home/someone/photos", "/tmp/build-1/x", str(ROOT)):
        assert traces(b"\0" + text.encode() + b"\0"), text
