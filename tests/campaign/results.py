"""What the campaign has seen, a line of JSON for each try, so that it resumes."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Results:
    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        rows = [json.loads(line) for line in lines]
        self.rows: dict[str, dict[str, Any]] = {row["name"]: row for row in rows}

    def once(self, part: str, name: str, work: Callable[[], dict[str, Any]]) -> None:
        """Do the work unless an earlier campaign has, and note what it gives: `faults`
        at least.
        """
        name = f"{part}: {name}"
        if name in self.rows:
            return
        row = {"name": name, "part": part, **work()}
        self.rows[name] = row
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        for fault in row["faults"]:
            print(f"FAULT {name}: {fault}", flush=True)
        print(f"{len(self.rows):4} {name}", flush=True)

    @property
    def faults(self) -> int:
        return sum(len(row["faults"]) for row in self.rows.values())

    def table(self) -> str:
        """A row for each part: tries, faults, and what was counted."""
        lines = ["| what | tries | faults | |", "|---|---|---|---|"]
        for part in dict.fromkeys(row["part"] for row in self.rows.values()):
            rows = [row for row in self.rows.values() if row["part"] == part]
            tries = sum(row.get("signals", 1) for row in rows)
            faults = sum(len(row["faults"]) for row in rows)
            counted = sum((Counter(row.get("moments", {})) for row in rows), Counter())
            text = ", ".join(f"{k} {v}" for k, v in counted.items())
            texts = [row["text"] for row in rows if row.get("text")]
            text = "; ".join([text] * bool(text) + texts)
            lines.append(f"| {part} | {tries} | {faults} | {text} |")
        return "\n".join(lines)
