"""The cases of a sweep, and what is refused before any run."""

import pytest

from jaxdiff.runs.sweep import cases
from jaxdiff.schema import flat
from tests.runs.conftest import tiny_config


def make(over=(), change=(), **changed):
    return cases.make_cases(tiny_config(**changed), over, change)


def test_every_combination_is_a_case_with_a_readable_name():
    made = make(["train.lr=1e-3,3e-4", "seed=0,1,2"])
    assert [case.name for case in made] == [
        *(f"lr=0.001,seed={i}" for i in range(3)),
        *(f"lr=0.0003,seed={i}" for i in range(3)),
    ]
    assert [case.run for case in made] == [case.name for case in made]
    assert made[4].config.train.lr == "constant(peak=0.0003)"
    assert made[4].varied == {"train.lr": 3e-4, "seed": 1}
    base = flat(tiny_config()) | {"train.lr": "constant(peak=0.0003)", "seed": 1}
    assert flat(made[4].config) == base


def test_a_change_is_alone_beside_the_base_and_may_set_several_fields():
    made = make(
        change=["diffusion.schedule=linear_mix", "wide: model.hidden=16 train.lr=1"],
    )
    assert [case.name for case in made] == ["base", "schedule=linear_mix", "wide"]
    base, schedule, wide = (case.config for case in made)
    assert flat(base) == flat(tiny_config())
    assert schedule.diffusion.schedule == "linear_mix" and schedule.model.hidden == 8
    assert (wide.model.hidden, wide.train.lr) == (16, "constant(peak=1.0)")
    made = make(["seed=0,1"], ["wide: model.hidden=16"])
    assert [c.name for c in made] == [
        *("base,seed=0", "base,seed=1", "wide,seed=0", "wide,seed=1")
    ]


def test_another_network_sets_back_what_it_does_not_take():
    made = make(change=["net: model.name=tests.runs.speck"], data__shape=(4, 4, 1))
    assert made[0].config.model.hidden == 8 and made[1].config.model.hidden == 64


def test_what_only_changes_sampling_shares_a_run():
    made = make(["sampler.num_steps=2,4", "seed=0,1"])
    assert [case.run for case in made] == ["seed=0", "seed=1"] * 2
    assert made[2].name == "num_steps=4,seed=0"
    assert [case.config.sampler.num_steps for case in made] == [2, 2, 4, 4]
    assert {case.trained.sampler.num_steps for case in made} == {3}
    change = ["a: sampler.solver=heun", "b: model.hidden=4 sampler.eta=1"]
    with pytest.raises(ValueError, match=r"no field 'sampler\.eta'"):
        make(change=change)
    made = make(change=[change[0], "b: model.hidden=4 sampler.solver=heun"])
    assert [case.run for case in made] == ["base", "base", "b"]
    assert made[2].config.sampler.solver == "heun"
    assert made[2].trained.sampler.solver == "ddim"


def test_commas_inside_brackets_and_quotes_do_not_separate():
    made = make(["sampler.solver=ddim(eta=0.5),heun", "train.ema_widths=(.1,.2),()"])
    assert [c.config.sampler.solver for c in made[::2]] == ["ddim(eta=0.5)", "heun"]
    assert [c.config.train.ema_widths for c in made[:2]] == [(0.1, 0.2), ()]
    assert made[0].name == "solver=ddim_eta=0.5,ema_widths=0.1_0.2"


@pytest.mark.parametrize(
    ("over", "change", "message"),
    [
        ([], [], "nothing is varied"),
        (["seed"], [], r"--over seed: expected FIELD=VALUE,VALUE"),
        (["lr=1"], [], r"no field 'lr'; did you mean 'train\.lr'"),
        (["sede=1"], [], r"no field 'sede'; did you mean 'seed'"),
        (["seed=0,one"], [], r"seed must be of type int, got 'one'"),
        (["seed=0,1.5"], [], r"seed must be of type int, got '1\.5'"),
        (["seed=0,-1"], [], r"seed=-1: seed must be from 0"),
        (["seed=0", "seed=1"], [], "--over seed is given twice"),
        (["data.holdout=.1,"], [], r"--over data\.holdout=\.1, ends in a comma"),
        (["train.lr=nan"], [], "--over train.lr=nan: nan is no rate"),
        (["diffusion.sigma_data=0.5,5e-1"], [], "are the same"),
        (["train.clip_norm=0.0,-0.0"], [], "are the same"),
        ([], ["Table.md: seed=2"], "the sweep writes Table.md itself"),
        ([], ["sweep.pdf: seed=2"], r"the sweep writes sweep\.pdf itself"),
        ([], ["losses.svg: seed=2"], r"the sweep writes losses\.svg itself"),
        ([], ["evaluations: seed=2"], "the sweep writes evaluations itself"),
        (["seed=0,1,0"], [], "seed=0 and seed=0 are the same"),
        (["train.lr=1e-2,.01"], [], "are the same"),
        ([], ["seed=0"], "seed=0 and base are the same"),
        (["seed=1"], ["seed=2"], "seed is varied twice"),
        ([], ["base: seed=2"], "'base' is the unchanged config"),
        ([], ["wide:"], "expected FIELD=VALUE"),
        ([], ["wide: seed=1 x"], "not FIELD=VALUE"),
        ([], ["a: seed=1", "A: seed=2"], "A and a are the same"),
        (["model.hidden=8,16"], ["model.channels=8"], "channels=8,hidden=8: model.cha"),
        (["data.flip=yes"], [], "data.flip must be of type bool, got 'yes'"),
        ([], ["train.ema_widths=" + "(.1," * 90], "must be of type tuple"),
        ([], [f"{'ж' * 150}: seed=1"], "too long for the name of a folder"),
        ([], [f"{'x' * 300}: seed=1"], "too long for the name of a folder"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(over, change, message):
    with pytest.raises(ValueError, match=message):
        make(over, change)


def test_values_that_differ_have_names_that_differ():
    made = make(["diffusion.sigma_data=0.5,0.50000001"])
    assert [c.name for c in made] == ["sigma_data=0.5", "sigma_data=0.50000001"]


def test_a_swept_field_is_not_chosen_for_the_machine():
    auto = "model.hidden", "train.num_steps"
    made = make(["model.hidden=8,16"], ["steps: train.num_steps=3"], auto=auto)
    assert [case.config.auto for case in made] == [auto[1:], auto[1:], (), ()]


def test_a_field_is_set_for_all_or_swept():
    with pytest.raises(
        ValueError, match=r"--config\.seed and --over seed set the same"
    ):
        cases.make_cases(tiny_config(seed=5), ["seed=0,1"], (), ["seed"])
