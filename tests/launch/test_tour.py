"""The notebook: it is stored executed, with small pictures, and runs anew."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATH = ROOT / "launch" / "tour.ipynb"
CELLS = json.loads(PATH.read_text())["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


def pictures(cells):
    outputs = [output for cell in cells for output in cell["outputs"]]
    return [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})]


def test_it_is_stored_executed_with_small_pictures():
    assert [cell["execution_count"] for cell in CODE] == [*range(1, len(CODE) + 1)]
    kinds = {output["output_type"] for cell in CODE for output in cell["outputs"]}
    assert "error" not in kinds
    drawn = pictures(CODE)
    assert len(drawn) >= 6 and all(len(picture) < 100_000 for picture in drawn)
    assert PATH.stat().st_size < 500_000
    texts = [cell["source"] for cell in CELLS] + [
        json.dumps(c["outputs"]) for c in CODE
    ]
    assert not any(
        word in "".join(text) for text in texts for word in ("/tmp", "/root")
    )
    assert "QUICK = False" in "".join(CODE[0]["source"])


@pytest.mark.slow
def test_it_runs_anew(tmp_path, monkeypatch):
    """Trained for a moment only, in a folder and a kernel of its own."""
    nbclient, nbformat = map(pytest.importorskip, ("nbclient", "nbformat"))
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    book = nbformat.read(PATH, as_version=4)
    (first, *_) = (cell for cell in book.cells if cell.cell_type == "code")
    assert "QUICK = False" in first.source
    first.source = first.source.replace("QUICK = False", "QUICK = True")
    (tmp_path / "launch").mkdir()
    where = {"metadata": {"path": str(tmp_path / "launch")}}
    nbclient.NotebookClient(book, timeout=600, resources=where).execute()
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert len(pictures(cells)) == len(pictures(CODE))
    assert (tmp_path / "runs" / "tour" / "digits" / "config.json").is_file()
    shown = json.dumps([cell["outputs"] for cell in cells])
    assert "training:" in shown and "sampling:" in shown  # the bars
