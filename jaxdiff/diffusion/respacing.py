"""The entries of a table that a respaced chain keeps, as improved DDPM and ADM do.

Source: Nichol & Dhariwal 2021, arXiv:2102.09672, section 4; Dhariwal & Nichol 2021,
arXiv:2105.05233.
"""

from jaxdiff.arrays import require


def respaced_steps(total: int, sections: str) -> list[int]:
    """The entries that `respaced` keeps of a table of `total` steps, rising.

    Each position is a sum of strides, rounded half to even.

    Errors: ValueError for malformed sections, or if they do not fit the table.
    """
    if sections.startswith("ddim"):
        counts = _counts(sections[4:], sections)
        require(len(counts) == 1, f"'ddim' takes one number of steps, got {sections=}")
        count = counts[0]
        for stride in range(1, total):
            if len(range(0, total, stride)) == count:
                return list(range(0, total, stride))
        raise ValueError(
            f"no integer stride takes {count} of {total} steps: {sections=}"
        )
    counts = _counts(sections, sections)
    size, extra = divmod(total, len(counts))
    kept, start = [], 0
    for part, count in enumerate(counts):
        length = size + (part < extra)
        require(
            count <= length,
            f"cannot keep {count} of a part's {length} steps: {sections=}, {total=}",
        )
        stride = 1.0 if count == 1 else (length - 1) / (count - 1)
        place = 0.0
        for _ in range(count):
            kept.append(start + round(place))
            place += stride
        start += length
    return kept


def _counts(text: str, sections: str) -> list[int]:
    parts = text.split(",")
    require(
        all(part.strip().isdigit() and int(part) > 0 for part in parts),
        f"sections must look like '250', '10,15,20' or 'ddim25', got {sections=}",
    )
    return [int(part) for part in parts]
