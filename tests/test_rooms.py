"""The rooms of jaxdiff/runs, one a command, and what they import from one another.

python -m pytest tests/test_rooms.py -s       prints the figures
"""

import ast
from collections import Counter
from pathlib import Path

import pytest

from jaxdiff.runs.plot.run import SPECS

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "jaxdiff" / "runs"
# A room imports only from rooms on lower floors, and a file from its own room.
FLOORS = (
    {"workdir", "shards", "batched", "shared_pictures", "listing"},
    {"first_stage"},
    {"sampler"},
    {"experiment"},
    {"sample"},
    {"evaluate"},
    {"train"},
    {"edit", "plot", "bench", "fit_grid", "export", "convert", "serve", "sweep"},
)
# Of each room: imports from other rooms, and lines; the latter also of the files beside
# the rooms. Commands may be added, but none may sprawl.
MOST_ARROWS, MOST_LINES = 13, 1300
# Of the room of pictures, a kind of which is what a command is elsewhere, lines a kind.
MOST_A_KIND = 90
# Imports that leave the rooms which were there before these: they may not rise again.
NEWER, MOST_OF_OLDER = {"export", "convert", "serve", "listing", "sweep"}, 52
LONGEST = {"file": 300, "function": 60}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imports(path: Path, modules: set[str]) -> set[str]:
    """The modules of jaxdiff/runs that a file imports, also inside its functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in modules else node.module for name in whole}
    return names & modules


FILES = {module_of(path): path for path in sorted(RUNS.rglob("*.py"))}
ARROWS = {
    (module, other)
    for module, path in FILES.items()
    for other in imports(path, set(FILES))
    if other != module
}


def room_of(module: str) -> str:
    return module.split(".")[2] if module.count(".") > 1 else ""


def floor_of(room: str) -> int:
    floors = [i for i, floor in enumerate(FLOORS) if room in floor]
    assert floors, f"jaxdiff/runs/{room} has no floor: give it one in FLOORS"
    return floors[0]


def lengths(folder: Path) -> dict[str, list[tuple[int, str]]]:
    """Lines of each file and of each function of a folder."""
    files, functions = [], []
    for path in sorted(folder.rglob("*.py")):
        text, name = path.read_text(), path.relative_to(ROOT).as_posix()
        files.append((len(text.splitlines()), name))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = node.end_lineno - node.lineno + 1
                functions.append((lines, f"{name}:{node.name}"))
    return {"file": files, "function": functions}


def test_rooms_import_only_from_lower_floors():
    between = {(room_of(a), room_of(b)) for a, b in ARROWS} - {("", "")}
    between = {(a, b) for a, b in between if a != b}
    for room, other in sorted(between):
        assert floor_of(other) < floor_of(room), f"runs/{room} imports runs/{other}"
    assert len(between) > 10  # the table is about real imports
    print(
        f"\njaxdiff/runs: {len({room_of(m) for m in FILES} - {''})} rooms, "
        f"{len(between)} arrows between rooms, {len(ARROWS)} between files"
    )


def test_few_arrows_leave_a_room():
    leaving = Counter(room_of(a) for a, b in ARROWS if room_of(a) != room_of(b))
    print(f"\nimports that leave their room: {leaving.total()}, {dict(leaving)}")
    assert max(leaving.values()) <= MOST_ARROWS
    assert sum(n for room, n in leaving.items() if room not in NEWER) <= MOST_OF_OLDER


def test_files_of_a_room_make_no_circle():
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for one, other in ARROWS:
                if one == module:
                    visit(other, (*path, module))
            done.add(module)

    for module in FILES:
        visit(module, ())


def test_rooms_stay_small():
    rooms: dict[str, int] = {}
    for path in RUNS.rglob("*.py"):
        inside = path.relative_to(RUNS).parts[:-1]
        room = inside[0] if inside else "beside the rooms"
        rooms[room] = rooms.get(room, 0) + len(path.read_text().splitlines())
    print(f"\njaxdiff/runs: {sum(rooms.values())} lines, {rooms}")
    assert rooms.pop("plot") <= MOST_A_KIND * len(SPECS)
    assert len(rooms) > 5 and max(rooms.values()) <= MOST_LINES


@pytest.mark.parametrize("kind", LONGEST)
@pytest.mark.parametrize("folder", ["jaxdiff/runs", "launch"])
def test_files_and_functions_are_short(folder, kind):
    number, name = max(lengths(ROOT / folder)[kind])
    print(f"\n{folder}: longest {kind} {name}, {number} lines")
    assert number <= LONGEST[kind]
