"""Choices by name, and the objects that they make.

A choice is a name in a home, which is a module or a package. The members of a home are
the makers in its `__all__` or, for a package without one, its files with a `make`. A
new file or function can therefore be chosen at once; nothing is registered.

A name with dots is a maker of somebody's own package: "pkg.nets.mynet" is the function
`mynet` of pkg.nets, or `make` of the module pkg.nets.mynet. It is imported when it is
picked; trust.py decides whether a stored run may name one.
"""

import ast
import difflib
import importlib.util
import inspect
import math
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType, ModuleType
from typing import Any, get_args

from jaxdiff.arrays import as_value, require

Home = ModuleType
EMPTY = inspect.Parameter.empty
# The longest list of names in an error.
MANY = 40


def members(home: Home) -> dict[str, Callable]:
    """Every maker of a home, by name."""
    if hasattr(home, "__all__"):
        return {name: getattr(home, name) for name in home.__all__}
    names = sorted(info.name for info in pkgutil.iter_modules(home.__path__))
    files = {n: importlib.import_module(f"{home.__name__}.{n}") for n in names}
    return {n: file.make for n, file in files.items() if hasattr(file, "make")}


def pick(home: Home, name: str) -> Callable:
    """The maker called `name`.

    Errors: ValueError with the nearest name and all names; what the import of a name
            with dots raises.
    """
    if is_dotted(name):
        return _imported(name)
    if hasattr(home, "__all__"):
        if name in home.__all__:
            return getattr(home, name)
    elif name.isidentifier() and importlib.util.find_spec(f"{home.__name__}.{name}"):
        file = importlib.import_module(f"{home.__name__}.{name}")
        if hasattr(file, "make"):
            return file.make
    known = members(home)
    raise ValueError(f"{home.__name__} has no {name!r}{hint(name, known)}")


def is_dotted(name: str) -> bool:
    """Whether a name is one of a package outside jaxdiff."""
    parts = name.split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


def _imported(name):
    """The maker that a name with dots stands for."""
    module, _, last = name.rpartition(".")
    try:
        home = importlib.import_module(module)
        maker = getattr(home, last, None)
        if maker is None or isinstance(maker, ModuleType):
            maker = importlib.import_module(name).make
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise  # of what that package imports itself
        above, _, missing = str(error.name).rpartition(".")
        home = sys.modules.get(above)  # imported before what it lacks
        if home:
            known = [k for k, v in vars(home).items() if callable(v) and k[0] != "_"]
            raise ValueError(
                f"{name!r}: {above} has no {missing!r}{hint(missing, known)}"
            ) from None
        raise ValueError(
            f"{name!r}: there is no module {error.name!r} here; install the package, "
            "or start in the folder that it lies in"
        ) from None
    except AttributeError:
        raise ValueError(f"{name!r} is a module without a function `make`") from None
    require(callable(maker), f"{name!r} is no function that makes something")
    return maker


def choose(
    home: Home, spec: str, given: Mapping[str, str] = MappingProxyType({})
) -> Callable:
    """The maker of a spec "name" or "name(field=value, ...)", with its fields bound.

    given:  fields that the caller sets -> the field of the config that they are from.
    Errors: ValueError for a malformed spec, an unknown name or field, one that is
            missing or among `given`, and for a value of another type than the maker's
            annotation or that is not finite.
    """
    name, fields = parse(home, spec)
    maker = pick(home, name)
    for field in fields:
        require(
            field not in given,
            f"{name}({field}=...): {given.get(field)} sets {field}; leave it out here",
        )
    bound = _fitted(maker, fields, name)
    _check_complete(maker, _types(maker), {*bound, *given}, spec, name)
    return partial(_make, spec, partial(maker, **bound))


def _make(spec, maker, *args, **kwargs):
    try:
        inspect.signature(maker).bind(*args, **kwargs)
    except TypeError as error:
        raise ValueError(
            f"{spec!r} must take {len(args) + len(kwargs)} argument(s), as others that "
            f"can be chosen there do: {error}"
        ) from None
    return as_value(maker(*args, **kwargs))


def parse(home: Home, spec: str) -> tuple[str, dict[str, Any]]:
    """The name and the fields of a spec.

    Errors: ValueError for a malformed spec.
    """
    try:
        call = ast.parse(spec, mode="eval").body
        name, fields = call, {}
        if isinstance(call, ast.Call):
            require(not call.args, "fields need names")
            fields = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
            name = call.func
        if isinstance(name, ast.Name) or is_dotted(ast.unparse(name)):
            return ast.unparse(name), fields
        raise SyntaxError
    # what ast raises for odd literals and for very long ones
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise ValueError(
            f"{spec[:80]!r} is not 'name' or 'name(field=value, ...)', with texts in "
            f"quotes, for {home.__name__}"
        ) from None


def name_of(text: str) -> str:
    """The name that `pick` or `parse` would read in a text; of no spec the text."""
    if is_dotted(text):
        return text
    try:
        return parse(inspect, text)[0]
    except ValueError:
        return text


def respec(home: Home, spec: str, **others: Any) -> str:
    """The spec with other values for some of its fields."""
    name, fields = parse(home, spec)
    text = ", ".join(f"{k}={v!r}" for k, v in {**fields, **others}.items())
    return f"{name}({text})"


def fields_of(home: Home, spec: str, kind: type) -> list[str]:
    """The fields of type `kind` that the maker of a spec takes."""
    takes = _types(pick(home, parse(home, spec)[0]))
    return [field for field, taken in takes.items() if taken is kind]


def parameters(home: Home, spec: str) -> frozenset[str]:
    """What the maker of a spec takes. Errors: as `pick`."""
    return frozenset(inspect.signature(pick(home, name_of(spec))).parameters)


def from_block(home: Home, block: Mapping[str, Any], **derived: Any) -> Any:
    """Call the maker named by `block.name` with those of the fields that it takes.

    A maker may have fields that the block lacks: "pkg.nets.mynet(width=64)".
    Errors: as `choose`; ValueError also for such a field that the block has.
    """
    name, extra = parse(home, block["name"])
    maker = pick(home, name)
    fields = {**{k: v for k, v in block.items() if k != "name"}, **derived}
    for field in extra:
        require(field not in fields, f"{name}({field}=...): the config has {field} too")
    takes = inspect.signature(maker).parameters
    given = {k: v for k, v in fields.items() if k in takes}
    given |= _fitted(maker, extra, name)
    several = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    single = [k for k, parameter in takes.items() if parameter.kind not in several]
    _check_complete(maker, single, given, block["name"], name)
    return maker(**given)


def _check_complete(maker, fields, given, spec, name):
    """ValueError for one of the fields that has neither a value nor a default."""
    parameters = inspect.signature(maker).parameters
    for field in fields:
        require(
            field in given or parameters[field].default is not EMPTY,
            f"{spec!r} lacks {field}: write {name}({field}=...)",
        )


def _fitted(maker, fields, name):
    """Check fields against the maker's signature; an int for a float becomes one."""
    takes = _types(maker)
    for field, value in fields.items():
        if field not in takes:
            raise ValueError(f"{name} has no field {field!r}{hint(field, takes)}")
        kind = takes[field]
        if kind is float and type(value) is int:
            fields[field] = float(value)
        elif type(value) is not kind:
            raise ValueError(
                f"{name}({field}=...) must be of type {kind.__name__}, got {value!r}"
            )
        require(
            kind is not float or math.isfinite(fields[field]),
            f"{name}({field}=...) must be a finite number, got {value!r}",
        )
    return fields


def _types(maker):
    """Field -> type, for the fields that a spec can set."""
    return {
        k: kind
        for k, p in inspect.signature(maker).parameters.items()
        for kind in (int, float, str, bool)
        if kind is p.annotation or kind in get_args(p.annotation)
    }


def hint(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the nearest name, and all names. If
    they are more than MANY, only the nearest.
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    did = f"; did you mean {near[0]!r}?" if near else "."
    if len(known) > MANY:
        return did.removesuffix(".")
    return f"{did} It has: {', '.join(known) or 'none'}"
