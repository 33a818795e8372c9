"""What launchers print: names that are safe for a terminal, rows as a table."""


def printable(text: str) -> str:
    """With escapes for characters that would change a terminal's state."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def print_rows(rows: list[dict]) -> None:
    """One row as a list of names and figures, several as a table."""
    if len(rows) == 1:
        width = max(map(len, rows[0]))
        for name, value in rows[0].items():
            print(f"{name:<{width}}  {_text(value)}")
        return
    names = list(rows[0])
    cells = [names] + [[_text(row.get(n, "")) for n in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)))


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
