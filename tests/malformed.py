"""Files that are not what they say, made from honest ones by chance: the same ones for the same seed.

Pictures, style files, recipes, and JSON values. `tests/fuzz.py` looks for more of them.
"""

import io
import random
from collections.abc import Iterator
from typing import Any

from PIL import Image

#: Values that a reader of JSON or YAML may not expect.
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 10**9, -(10**9), 2**62, 10**400, 0.5, 1e308, float("nan"), float("inf")),
    *("", "night", "\x1b[2J\x07", "\u202egnp.exe", "\x00", "A" * 5000, "../../x", [], [[]], {}, {"name": "x"}, [None]),
)
#: Numbers that sizes, counts and offsets in files are replaced by.
NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "TGA", "AVIF", "JPEG2000", "ICO", "PCX", "SGI", "DDS")


def with_odd_values(value: Any, chance: random.Random) -> Any:
    """A JSON value of which one to three parts are replaced, or left out."""
    for _ in range(chance.randint(1, 3)):
        value = _with_one(value, chance)
    return value


def _with_one(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        if chance.random() < 0.1:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: _with_one(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        place = chance.randrange(len(value))
        return [*value[:place], _with_one(value[place], chance), *value[place + 1 :]]
    return chance.choice(ODD_VALUES)


def honest_pictures() -> dict[str, bytes]:
    """Small pictures of every format that Pillow writes here: still, moving, grey, with opacity, of 16 bit."""
    noise = random.Random(0)
    pixels = bytes(noise.randrange(256) for _ in range(24 * 18 * 3))
    picture = Image.frombytes("RGB", (24, 18), pixels)
    clear = picture.convert("RGBA")
    clear.putalpha(picture.convert("L"))
    frames = [picture.rotate(90 * n) for n in range(3)]
    found = {}
    for format in FORMATS:
        found[format.lower()] = _saved(picture, format)
    for format in ("PNG", "GIF", "WEBP", "TIFF", "AVIF"):
        found[f"moving.{format.lower()}"] = _saved(frames[0], format, save_all=True, append_images=frames[1:])
    for format in ("PNG", "WEBP", "TIFF"):
        found[f"clear.{format.lower()}"] = _saved(clear, format)
    found["deep.png"] = _saved(Image.frombytes("I;16", (24, 18), pixels[: 24 * 18 * 2]), "PNG")
    found["inks.jpeg"] = _saved(picture.convert("CMYK"), "JPEG", progressive=True)
    found["packed.tiff"] = _saved(picture, "TIFF", compression="tiff_lzw")
    return found


def _saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    picture.save(file := io.BytesIO(), format, **options)
    return file.getvalue()


def pictures(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """So many files that were pictures, each with a name that ends as its format says."""
    honest = honest_pictures()
    chance = random.Random(seed)
    for number in range(count):
        kind = chance.choice(sorted(honest))
        yield f"{number:04}.{kind}", mutated(honest[kind], chance, chance.choice(list(honest.values())))


def mutated(data: bytes, chance: random.Random, other: bytes = b"") -> bytes:
    """The bytes after one to four changes, mostly one, in a half of the cases near the beginning, where headers are."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if not changed:
            break
        reach = len(changed) if chance.random() < 0.5 else min(len(changed), 64)
        place, kind = chance.randrange(reach), chance.randrange(7)
        if kind == 0:
            changed[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif kind == 2:  # a number, as large or as small as it can be
            width, order = chance.choice((2, 3, 4, 8)), chance.choice(("little", "big"))
            number = chance.choice(NUMBERS) % 256**width
            changed[place : place + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
        elif kind == 3:
            del changed[place:]
        elif kind == 4:
            del changed[place : place + chance.randint(1, 40)]
        elif kind == 5:
            changed[place:place] = changed[place : place + chance.randint(1, 200)] * chance.choice((1, 2, 30))
        elif other:
            cut = chance.randrange(len(other))
            changed[place:] = other[cut:]
    return bytes(changed)


RECIPE = """# A recipe with a value of every kind.
style-layers: [relu1_2, "relu2_2:3"]
content-layers:
  - relu3_3
style-weight: 8.5
style-size: 384
budget: 90s
network: johnson
padding: zeros
visits: 1
loss-weights: null
json: true
"""
_ODD_YAML = (
    *("*a", "&a [1]", "[[1]]", "{a: 1}", "!!binary aGk=", "2001-01-01", "1e999", "-1", "~", "''", ".nan", "0x7fffffff"),
    *(
        '"\\e[2J"',
        "!!set {a}",
        "<<",
        "? a",
        "1:2:3",
        "true",
        "- - -",
        "|",
        ">",
        "%",
        "@",
        "`",
        "auto",
        "none",
        "9" * 400,
    ),
)


def recipes(chance: random.Random, count: int) -> Iterator[bytes]:
    """So many recipes: some with another value on a line, some with other bytes."""
    for _ in range(count):
        lines = RECIPE.splitlines()
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(lines))
            name, _, _ = lines[place].partition(":")
            lines[place] = f"{name}: {chance.choice(_ODD_YAML)}"
        text = "\n".join(lines).encode()
        yield text if chance.random() < 0.6 else mutated(text, chance, RECIPE.encode())
