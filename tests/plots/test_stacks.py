"""Panels one above the other: what is out of the range of an axis."""

import numpy as np

from jaxdiff.plots import stacks


def test_a_point_out_of_the_range_is_marked_at_the_edge(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(
        stacks, "save_figure", lambda path, figure: figures.append(figure)
    )
    x, one = np.linspace(0, 1, 5), np.ones(1)
    lines = {"steps": (x, x + 1), "in": (one, one), "prior": (one, 1e-9 * one)}
    panel = stacks.Panel("bits", lines, log=True)
    stacks.save_stack(tmp_path / "x.png", [panel], xlabel="t")
    (axis,) = figures[0].axes
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert {*names} == {"steps", "in", "prior (below the axis)"}
    (mark,) = [line for line in axis.lines if "prior" in str(line.get_label())]
    low, high = axis.get_ylim()
    assert mark.get_marker() == "v" and mark.get_ydata() == [low]
    assert 1e-9 < low < 1 and not mark.get_clip_on() and high > 2
