"""The runs below a folder: how their configs differ, how far they are, how good.

python -m launch.runs runs
python -m launch.runs runs --sort=loss
python -m launch.runs runs --csv > runs.csv

It reads config.json and the last line of metrics.jsonl of each run. A run is training
while a process holds its lock. Runs that cannot be read are listed with the reason.
"""

import csv
import json
import shutil
import sys
from pathlib import Path

from absl import flags

from launch import cli
from launch.printing import print_rows, printable

SORT = flags.DEFINE_string("sort", "", "A column; -COLUMN for the largest first.")
CSV = flags.DEFINE_bool("csv", False, "Print all columns as CSV.")
JSON = flags.DEFINE_bool("json", False, "Print all columns as JSON; age in seconds.")

# Of the columns that are left out, so many are named; these are always shown.
FEW = 8
KEPT = ("run", "step", "num_steps", "loss", "state", "age", "problem")


def main(folder: str) -> None:
    from jaxdiff.runs.listing import run as listing

    if CSV.value and JSON.value:
        cli.fail("--csv and --json do not go together: leave one out")
    with cli.user_errors():
        rows = listing.rows_of(Path(folder), SORT.value)
    if JSON.value:
        print(json.dumps(rows, indent=2, default=list))
    elif CSV.value:
        table = csv.DictWriter(sys.stdout, [*rows[0]])
        table.writeheader()
        table.writerows(rows)
    else:
        show(rows, Path(folder))


def show(rows: list[dict], folder: Path) -> None:
    """A table as wide as the terminal, and what is not in it below."""
    from jaxdiff.notes import in_words

    names = short_names([*rows[0]])
    texts = []
    for row in rows:
        row = row | {"run": str(Path(row["run"]).relative_to(folder))}
        row["age"] = "" if row["age"] is None else in_words(row["age"])
        row["problem"] = "yes" if row["problem"] else None
        texts.append({names[k]: _cell(v) for k, v in row.items()})
    used = [k for k in names.values() if any(text[k] for text in texts)]
    room = shutil.get_terminal_size((120, 0)).columns
    widths = {k: 2 + max(len(k), *(len(text[k]) for text in texts)) for k in used}
    fields = [names[k] for k in rows[0] if "." in k]  # they are left out first
    figures = [k for k in used if k not in (*fields, *KEPT)]
    left = []
    for name in (*fields[::-1], *figures[::-1]):
        if name in used and sum(widths[k] for k in used) > room:
            left.append(name)
            used.remove(name)
    print_rows([{k: text[k] for k in used} for text in texts])
    if left:
        few = ", ".join(left[: -FEW - 1 : -1]) + ", ..." * (len(left) > FEW)
        print(f"columns left out here: {len(left)} ({few}); --csv and --json have all")
    for row in rows:
        if row["problem"]:
            print(printable(f"{row['run']}: {row['problem']}"))


def short_names(fields: list[str]) -> dict[str, str]:
    """ "train.lr" -> "lr", where no other field ends so."""
    ends = [field.rpartition(".")[2] for field in fields]
    return {
        field: end if ends.count(end) == 1 else field
        for field, end in zip(fields, ends, strict=True)
    }


def _cell(value) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    cli.run(main, word="folder", cached=False)  # it compiles nothing
