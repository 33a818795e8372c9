"""The floors of the house: who may import whom, read from the files themselves."""

import ast
import sys
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    p for top in ("jaxdiff", "launch", "configs") for p in (ROOT / top).rglob("*.py")
)
NAMES = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES}

# Home -> the third-party packages and the parts of jaxdiff that its files may import.
# The standard library is free to all; a home may import itself.
F1 = {"jaxdiff.arrays", "jaxdiff.rng"}
RULES: dict[str, set[str]] = {
    "jaxdiff.arrays": {"jax", "jaxtyping"},
    "jaxdiff.rng": {"jax", "jaxdiff.arrays"},
    "jaxdiff.files": {"numpy"},
    "jaxdiff.lock": {"jax", "filelock", "jaxdiff.files", "jaxdiff.notes"},
    "jaxdiff.notes": {"tqdm"},
    "jaxdiff.stopping": set(),
    "jaxdiff.diffusion": {"jax", "numpy", "scipy", "jaxtyping", *F1},
    "jaxdiff.diffusion.types": {"jax", "jaxdiff.arrays"},
    "jaxdiff.diffusion.density": {
        "jax",
        "jaxtyping",
        "diffrax",
        *F1,
        "jaxdiff.diffusion",
    },
    "jaxdiff.models": {"jax", "flax", "jaxtyping", *F1},
    "jaxdiff.data": {
        *("numpy", "grain", "tensorflow_datasets", "sklearn", "PIL", "pyarrow", "tqdm"),
        *("jaxdiff.files", "jaxdiff.lock", "jaxdiff.notes"),
    },
    "jaxdiff.train": {
        *("jax", "numpy", "flax", "optax", "orbax", "etils", "absl", "tensorboardX"),
        *("jaxdiff.files", "jaxdiff.notes", *F1),
    },
    "jaxdiff.plots": {
        *("matplotlib", "numpy", "PIL", "sklearn", "jaxdiff.files", "jaxdiff.notes")
    },
    "jaxdiff.metrics": {"jax", "numpy", "scipy", "sklearn", *F1},
    "jaxdiff.interop": {
        *("jax", "numpy", "safetensors", "jaxdiff.files", "jaxdiff.models", *F1),
        *("jaxdiff.choices", "jaxdiff.notes", "jaxdiff.diffusion", "jaxdiff.schema"),
        *("jaxdiff.trust", "jaxdiff.upgrades"),  # a folder of ours is a stored config
    },
    "jaxdiff.tasks": {
        *("jax", "flax", "optax", *F1, "jaxdiff.diffusion"),
        "jaxdiff.train.step",  # a task gives the step its loss
        "jaxdiff.models.embeddings",  # which a task reads of its network
    },
    "jaxdiff.choices": {"jaxdiff.arrays"},
    "jaxdiff.schema": {"ml_collections"},
    "jaxdiff.upgrades": {"ml_collections", "jaxdiff.schema"},
    "jaxdiff.ranges": {"ml_collections", "jaxdiff.arrays", "jaxdiff.schema"},
    "jaxdiff.fields": {
        *("ml_collections", "jaxdiff.arrays", "jaxdiff.choices", "jaxdiff.data"),
        *("jaxdiff.models", "jaxdiff.schema", "jaxdiff.tasks", "jaxdiff.upgrades"),
    },
    "jaxdiff.apart": {"jax", "tqdm", "jaxdiff.stopping"},
    "jaxdiff.variants": {
        *("ml_collections", "jaxdiff.arrays", "jaxdiff.choices", "jaxdiff.fields"),
        *("jaxdiff.ranges", "jaxdiff.schema", "jaxdiff.train", "jaxdiff.notes"),
    },
    "jaxdiff.trust": {
        *("ml_collections", "jaxdiff.choices", "jaxdiff.notes", "jaxdiff.schema"),
        "jaxdiff.upgrades",
    },
    "jaxdiff.build": {
        *("ml_collections", "jaxdiff.arrays", "jaxdiff.choices", "jaxdiff.data"),
        *("jaxdiff.diffusion", "jaxdiff.models", "jaxdiff.tasks", "jaxdiff.train"),
        "jaxdiff.notes",
    },
    "jaxdiff.runs": {
        *("jax", "numpy", "ml_collections", "tqdm", "PIL", *F1),
        *("jaxdiff.build", "jaxdiff.choices", "jaxdiff.data", "jaxdiff.diffusion"),
        *("jaxdiff.fields", "jaxdiff.files", "jaxdiff.lock", "jaxdiff.ranges"),
        *("jaxdiff.notes", "jaxdiff.schema", "jaxdiff.stopping"),
        *("jaxdiff.metrics", "jaxdiff.plots", "jaxdiff.tasks", "jaxdiff.train"),
        *("jaxdiff.interop", "jaxdiff.trust", "jaxdiff.upgrades"),
        *("jaxdiff.apart", "jaxdiff.variants"),
    },
    "jaxdiff.api": {
        *("jax", "numpy", "ml_collections", "pyarrow", *F1),
        *("jaxdiff.build", "jaxdiff.choices", "jaxdiff.data", "jaxdiff.diffusion"),
        *(
            "jaxdiff.fields",
            "jaxdiff.files",
            "jaxdiff.notes",
            "jaxdiff.plots",
            "jaxdiff.ranges",
        ),
        *("jaxdiff.runs", "jaxdiff.schema"),
    },
    "jaxdiff.runs.serve": {
        *("starlette", "uvicorn", "jax", "numpy", "PIL", *F1, "jaxdiff.runs"),
        *("jaxdiff.build", "jaxdiff.choices", "jaxdiff.data", "jaxdiff.diffusion"),
        *("jaxdiff.plots", "jaxdiff.ranges", "jaxdiff.train"),
    },
    "launch": {
        "absl",
        "filelock",
        "ml_collections",
        "jax",
        "numpy",
        "matplotlib",
        "PIL",
        "jaxdiff",
        "configs.base",  # the schema, which a stored config is held against
    },
    "configs": {"ml_collections", "jaxdiff.schema"},
}

# Within jaxdiff/diffusion: a file imports only files of lower floors than its own.
# Finer than the house's table in one place: losses stand above denoisers, since the
# variational bound is that of a denoiser.
FLOORS = (
    {"types", "conditions"},
    {"schedules", "levels", "arguments", "respacing"},
    {"predictions", "inputs", "scalings", "posterior", "times", "noises"},
    {"weights", "denoisers", "experts", "grids", "analytic", "clusters"},
    {"likelihood", "rules", "sampling", "upsampling", "moves"},
    {"density", "editing", "guidance", "inversion", "losses", "inverse_problems"},
    {"solvers", "bpd"},
    {"fitted_grid", "orders", "sample_moments", "term_weights"},
)


@lru_cache
def imports(path: Path) -> set[str]:
    """Every module a file imports, at any depth of its code, names included."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def within(name: str, home: str) -> bool:
    return name == home or name.startswith(home + ".")


def home_of(module: str) -> str | None:
    homes = [home for home in RULES if within(module, home)]
    return max(homes, key=len, default=None)


def test_there_are_files_and_each_has_a_home():
    assert len(FILES) > 40
    homeless = [
        n for n in NAMES.values() if home_of(n.removesuffix(".__init__")) is None
    ]
    assert homeless == ["jaxdiff.__init__"]


@pytest.mark.parametrize("path", FILES, ids=NAMES.get)
def test_a_file_imports_only_from_below(path):
    home = home_of(NAMES[path])
    # the public face has no home: it imports what it names when that is used
    allowed = RULES[home] | {home} if home else set()
    for name in imports(path):
        if name.split(".")[0] in sys.stdlib_module_names:
            continue
        assert any(within(name, one) for one in allowed), f"{NAMES[path]}: {name}"


def floor_of(name: str) -> int | None:
    part = name.split(".")[2] if name.count(".") >= 2 else ""
    return next((i for i, floor in enumerate(FLOORS) if part in floor), None)


def test_the_floors_of_the_mathematics():
    seen = set()
    for path, module in NAMES.items():
        if not within(module, "jaxdiff.diffusion") or path.name == "__init__.py":
            continue
        floor = floor_of(module)
        assert floor is not None, f"{module} has no floor: give it one in FLOORS"
        for name in imports(path):
            below = floor_of(name) if within(name, "jaxdiff.diffusion") else None
            if below is not None:
                # a schedule or a solver may be made of another of its folder
                together = name.split(".")[:3] == module.split(".")[:3]
                assert below < floor or together, f"{module} imports {name}"
                seen.add((below, floor))
    assert len(seen) > 8  # the table is about real imports


def test_a_solver_imports_no_network_label_or_parameterisation():
    forbidden = {"predictions", "inputs", "losses", "weights", "guidance", "times"}
    for path in (ROOT / "jaxdiff/diffusion/solvers").glob("*.py"):
        for part in forbidden:
            assert not any(
                within(name, f"jaxdiff.diffusion.{part}") for name in imports(path)
            )


def test_no_circles():
    graph = {
        module.removesuffix(".__init__"): {
            other
            for other in (n.removesuffix(".__init__") for n in NAMES.values())
            if other != module
            and any(
                name == other or name.rpartition(".")[0] == other for name in imports(p)
            )
        }
        for p, module in NAMES.items()
    }
    done: set[str] = set()

    def visit(node: str, path: tuple[str, ...]) -> None:
        assert node not in path, " -> ".join((*path, node))
        if node not in done:
            for other in graph.get(node, ()):
                visit(other, (*path, node))
            done.add(node)

    # a package's __init__ is imported with any of its files; ours import nothing
    for node in graph:
        visit(node, ())


def nodes(kind):
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kind):
                yield path, node


def test_only_parallel_uses_pmap():
    """As a call of JAX: `jax.pmap` or an import of it."""
    users = {
        path.relative_to(ROOT).as_posix()
        for path, node in nodes(ast.Attribute | ast.alias)
        if (node.attr if isinstance(node, ast.Attribute) else node.name) == "pmap"
    }
    assert users == {"jaxdiff/train/parallel.py"}


def test_only_the_builder_and_the_runs_read_configs():
    """A ConfigDict is made of schema.py, an older one by upgrades.py, checked by
    fields.py and ranges.py, given other values by variants.py, and read in build.py;
    runs pass it and read their blocks.
    """
    readers = {
        home_of(NAMES[path])
        for path in FILES
        if any(within(name, "ml_collections") for name in imports(path))
    }
    assert readers == {
        *("jaxdiff.schema", "jaxdiff.build", "jaxdiff.fields", "jaxdiff.ranges"),
        *("jaxdiff.upgrades", "jaxdiff.trust", "jaxdiff.runs", "jaxdiff.api"),
        "jaxdiff.variants",
        *("configs", "launch"),
    }


def test_the_mathematics_touches_no_files():
    free = {"math", "typing", "collections", "functools", "itertools", "bisect"}
    free |= {"inspect"}  # signatures
    free |= {"importlib", "types"}  # solvers are imported when they are first used
    for path, module in NAMES.items():
        if within(module, "jaxdiff.diffusion") or within(module, "jaxdiff.models"):
            tops = {name.split(".")[0] for name in imports(path)}
            assert tops & set(sys.stdlib_module_names) <= free, module
            assert "open(" not in path.read_text()


@pytest.mark.parametrize("path", FILES, ids=NAMES.get)
def test_files_are_short_and_named_for_what_they_do(path):
    assert len(path.read_text().splitlines()) <= 320
    assert path.stem not in ("utils", "util", "helpers", "misc", "common")


def test_no_inheritance_but_modules_tuples_and_errors():
    bases = {"nn.Module", "NamedTuple", "Protocol"}
    for path, node in nodes(ast.ClassDef):
        for base in node.bases:
            name = ast.unparse(base)
            assert name in bases or name.endswith(
                ("Error", "Exception", "Interrupt")
            ), f"{path}: class {node.name}({name})"


def test_no_defaults_hidden_in_the_code():
    for path, node in nodes(ast.Call):
        text = ast.unparse(node.func)
        assert not text.endswith(("config.get", "nan_to_num")), f"{path}: {text}"


def test_nothing_is_silently_mended():
    """No `except: pass`; and what catches everything reports it or ends the program."""
    caught = 0
    for path, node in nodes(ast.ExceptHandler):
        caught += 1
        assert node.type is not None, (
            f"{path}:{node.lineno} catches what it cannot name"
        )
        body = [type(n) for n in node.body]
        assert body != [ast.Pass] and body != [ast.Continue], f"{path}:{node.lineno}"
    assert caught > 5


def test_every_function_of_the_mathematics_is_annotated():
    """Its arguments and what it returns, so that pyright and beartype check them."""
    count = 0
    for path, node in nodes(ast.FunctionDef):
        if within(NAMES[path], "jaxdiff.diffusion"):
            every = node.args
            args = [*every.posonlyargs, *every.args, *every.kwonlyargs]
            args += [arg for arg in (every.vararg, every.kwarg) if arg]
            bare = [a.arg for a in args if not a.annotation and a.arg != "self"]
            assert not bare and node.returns, (
                f"{path}:{node.lineno} {node.name}: {bare}"
            )
            count += 1
    assert count > 200


def test_public_functions_are_explained():
    for path, node in nodes(ast.Module):
        if path.name == "__init__.py":
            continue
        assert ast.get_docstring(node), f"{path} has no docstring"
