"""The words of the field: no private word in a name, a flag, a figure or in prose.

The tables hold what is not to be used, and what to use instead.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from jaxdiff import schema

ROOT = Path(__file__).parents[1]
CODE = [p for d in ("jaxdiff", "launch", "configs") for p in (ROOT / d).rglob("*.py")]
TESTS = [p for d in ("tests", ".ci") for p in (ROOT / d).rglob("*.py")]
TEXTS = [ROOT / p for p in ("README.md", "BUILD_NOTES.md", "configs/results/README.md")]

# Words of names, which end at "_", "." and capitals; with a capital: names of classes.
NAMES = {
    "judge judged yardstick": "features, classifier, baseline",
    "own_label bits_per_value kernel_distance": "label_accuracy, bpd, kid",
    "network_calls fall_short raised fresh": "nfe, sigma_down, churn, added noise",
    "look push told said asked": "denoise_at, mean_shift, record, text, request",
    "scene ask sides Each plan": "context, request, pair, per_image, shared",
    "Kind album originals fixed": "plot spec, snapshots, inputs, columns",
    "found wanted own goes_on": "result, names, self, resumes",
}
# In prose, messages and figures: regular expressions of whole words.
PHRASES = {
    "bits per value": "bits per dimension",
    "own label": "label accuracy",
    r"kernel distances?|kernel(?= [\d{])": "KID",
    "network calls?": "NFE",
    "yardsticks?|judge[sd]?": "baseline, feature extractor, classifier",
    "scenes?|albums?": "context, snapshots",
    "falls? short": "is below, ends early",
    "go(es)? on": "resumes, continues",
    "(that|those) of the others?": "say whose",
    # data, arrays and functions do not speak
    "says?|said|tells?|told|asks?|asked": "states, gives, returns, needs, requests",
    "wants?|wanted|knows?|knew": "needs, expects, depends on, contains",
}
ALLOWED = {
    "FileNotFoundError": "the name is Python's",
    "ModuleNotFoundError": "the name is Python's",
    "DatasetNotFoundError": "the name is TFDS's",
    "train.judge": "a field of older runs, which are still read",
    "diffusion.scaling=own": "a value of older runs, which are still read",
}


def in_name(name: str) -> bool:
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    joined = f"_{'_'.join(parts).lower()}_"
    words = " ".join(NAMES).split()
    hits = [w for w in words if w == name or (w.islower() and f"_{w}_" in joined)]
    return bool(hits) and name.replace("__", ".") not in ALLOWED


def in_prose(text: str) -> bool:
    flat = " ".join(text.split())
    hits = [p for p in PHRASES if re.search(rf"\b(?:{p})(?!\w)", flat, re.I)]
    return bool(hits) and text not in ALLOWED


def names(source: str) -> Iterator[str]:
    """What a file names or uses, keys of records too. Names of tests are prose."""
    for node in ast.walk(ast.parse(source)):
        for field in ("name", "id", "arg", "attr", "asname"):
            name = getattr(node, field, None)
            if isinstance(name, str) and not name.startswith("test_"):
                yield name
        for key in node.keys if isinstance(node, ast.Dict) else []:
            if isinstance(key, ast.Constant):
                yield str(key.value)


def flags(source: str) -> Iterator[str]:
    """The flags that a launcher defines."""
    for node in ast.walk(ast.parse(source)):
        call = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if re.search(r"DEFINE_|add_argument$", call):
            yield str(getattr(node.args[0], "value", "") if node.args else "")


def prose(source: str) -> Iterator[str]:
    """Docstrings, blocks of comments, and the names of tests."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            yield ast.get_docstring(node) or ""
            name = getattr(node, "name", "")
            yield name.replace("_", " ") if name.startswith("test_") else ""
    block, last = "", 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] > last + 1:
                yield block
                block = ""
            block, last = f"{block} {token.string.lstrip('# ')}", token.start[0]
    yield block


def strings(source: str) -> Iterator[str]:
    """What a program shows: titles and labels of figures, messages, help texts."""
    tree = ast.parse(source)
    documents = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and id(node) not in documents:
            yield str(node.value)


@pytest.mark.parametrize("path", [*CODE, *TESTS], ids=str)
def test_a_file_has_the_fields_words(path):
    source, parts = path.read_text(), path.relative_to(ROOT).with_suffix("").parts
    used = {*parts, *names(source), *flags(source)}
    assert path == Path(__file__) or not [name for name in used if in_name(name)]
    shown = strings(source) if path in CODE else []
    assert [text for text in (*prose(source), *shown) if in_prose(text)] == []


def test_documents_and_the_schema_have_the_fields_words():
    paragraphs = [part for path in TEXTS for part in path.read_text().split("\n\n")]
    assert [text for text in paragraphs if in_prose(text)] == []
    assert [name for name in schema.flat(schema.get_config()) if in_name(name)] == []


PLANTED = {
    names: ("def f(wanted): g.own = {'kernel_distance': JudgedImage(found=1)}", 5),
    flags: ("flags.DEFINE_string('network_calls', None, 'Help.')", 1),
    strings: ("axis.set(xlabel='network calls', title=f'kernel {x:.3g}')", 2),
    prose: ("def test_is_told():\n    'Bits per\\nvalue'  # that of\n# the other", 3),
}


@pytest.mark.parametrize("place", PLANTED)
def test_planted_words_are_seen(place):
    source, count = PLANTED[place]
    check = in_name if place in (names, flags) else in_prose
    assert len([text for text in place(source) if check(text)]) == count
