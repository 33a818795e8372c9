"""A table whose columns have any names, sampled."""

import numpy as np

from jaxdiff.data import reading
from jaxdiff.runs.sample import run as sample
from tests.runs.conftest import untrained

TEXT = """file,seed,seeds,a_$x_$,größe,=kind
1,0.5,3,2.5,1,rosé
2,1.5,1,3.5,2,=1+1
4,2.5,2,1.5,4,rosé
"""


def test_columns_come_out_under_their_names(tmp_path, tiny):
    (tmp_path / "t.csv").write_text(TEXT, encoding="utf-8")
    config = tiny(
        data__name="table",
        data__path=str(tmp_path / "t.csv"),
        diffusion__condition="none",
        sampler__num_steps=2,
    )
    run = untrained(config, tmp_path / "run")
    out = tmp_path / "out"
    request = sample.prepare(run, out=out, num=5, seed=7)
    sample.run(request)
    names = TEXT.partition("\n")[0].split(",")
    cells = reading.read(str(out / "samples.csv")).columns
    with np.load(out / "samples.npz") as file:
        arrays = dict(file)
    assert [*cells] == names and [*arrays][: len(names)] == names
    assert (arrays["_seed"], arrays["_seeds"].tolist()) == (7, [0, 1, 2, 3, 4])
    assert {*cells["=kind"]} <= {"rosé", "=1+1"}
    for name in names:
        assert [str(value) for value in arrays[name]] == cells[name]
    assert (out / "pairs.png").is_file()
