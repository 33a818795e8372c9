"""Wild values: numbers at the ends of every range, texts, trees, damaged bytes."""

from typing import Any

import numpy as np

Rng = np.random.Generator

FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-3, 1e-45, 1e-300, 1e20, 1e39, 1e300, -1e300),
    *(float("inf"), float("-inf"), float("nan")),
)
INTS = (0, 1, -1, 2, 3, 7, 100, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**70), 10**30)
CODE = "__import__('os').system('touch ran')"
TEXTS = (
    *(
        "",
        " ",
        "x",
        "None",
        "nan",
        "1e999",
        "../../etc/passwd",
        "\0",
        "é",
        "\u202e",
        "$x$",
    ),
    *(
        "'",
        '"',
        "\\",
        "\n",
        "(",
        ")",
        "{[]:1}",
        "a" * 2000,
        "-" * 2000 + "1",
        "🙂",
        "²",
    ),
    *(
        CODE,
        f"cosine(peak={CODE})",
        "cosine",
        "cosine(",
        "1,2",
        "%s%n",
        "{0}",
        "0:9999999999",
    ),
)


def number(rng: Rng) -> float:
    if rng.random() < 0.5:
        return FLOATS[rng.integers(len(FLOATS))]
    return float(rng.normal() * 10.0 ** rng.uniform(-30, 30))


def integer(rng: Rng) -> int:
    if rng.random() < 0.6:
        return INTS[rng.integers(len(INTS))]
    return int(rng.integers(-20, 2000))


def text(rng: Rng) -> str:
    if rng.random() < 0.7:
        return TEXTS[rng.integers(len(TEXTS))]
    return "".join(chr(c) for c in rng.integers(1, 0x2FFF, rng.integers(1, 12)))


def value(rng: Rng, depth: int = 2) -> Any:
    """Of any type that JSON or a Python literal has."""
    kind = rng.integers(9 if depth else 6)
    if kind < 2:
        return number(rng)
    if kind < 4:
        return integer(rng)
    if kind < 5:
        return text(rng)
    if kind < 6:
        return (None, True, False)[rng.integers(3)]
    items = [value(rng, depth - 1) for _ in range(rng.integers(4))]
    if kind < 8:
        return items
    return {text(rng): item for item in items}


def like(rng: Rng, given: Any) -> Any:
    """Often of the same type, and then of any size; else of any type."""
    if rng.random() < 0.2:
        return value(rng)
    if isinstance(given, bool):
        return not given
    if isinstance(given, int):
        return integer(rng)
    if isinstance(given, float):
        return number(rng)
    if isinstance(given, str):
        return edited(rng, given)
    if isinstance(given, list | tuple):
        make = (number, integer, text)[rng.integers(3)]
        return [make(rng) for _ in range(rng.integers(5))]
    return value(rng)


def edited(rng: Rng, given: str) -> str:
    """A text with some characters changed, or another one."""
    if rng.random() < 0.3:
        return text(rng)
    for _ in range(rng.integers(1, 4)):
        at, some = rng.integers(len(given) + 1), text(rng)[:3]
        drop = int(rng.integers(3))
        given = given[:at] + some + given[at + drop :]
    return given


def damaged(rng: Rng, whole: bytes) -> bytes:
    """Bytes with flipped bits, cut short, doubled, or with others in between."""
    data, how = bytearray(whole), rng.integers(6)
    at = int(rng.integers(max(len(data), 1)))
    if how < 2:
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    elif how == 2:
        del data[at:]
    elif how == 3:
        del data[at : at + int(rng.integers(1, 40))]
    elif how == 4:
        data[at:at] = rng.bytes(int(rng.integers(1, 40)))
    else:
        data[at : at + 8] = b"\xff" * 8
    return bytes(data)
