"""Tabular diffusion on Iris: 4 measurements and the species, 150 rows.

python -m launch.train --config=configs/iris.py --workdir=runs/iris
python -m launch.sample --workdir=runs/iris --out=out --fix class=virginica
python -m launch.bench inference --config=configs/iris.py

It takes about ten seconds on two CPU cores. Model: sigmoid schedule, eps, 1,000 steps.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.data.name = "iris"
    config.model.update({"name": "mlp", "hidden": 64, "num_blocks": 3})
    config.diffusion.update(
        {
            "schedule": "sigmoid(gain=6.0, shift=0.5, stop=0.99996)",
            "prediction": "eps",
            "time_feature": "time",
            "condition": "none",
        }
    )
    config.train.update(
        {
            "batch_size": 150,
            "num_steps": 5000,
            "steps_per_call": 100,
            "optimizer": "adamw(weight_decay=0.01)",
            "lr": "constant(peak=3e-4)",
            "log_every": 500,
            "checkpoint_every": 5000,
            "num_preview": 150,
        }
    )
    config.sampler.update(
        {
            "solver": "ddpm",
            "num_steps": 1000,
            "known": "regress(ridge=0.1)",
            "known_steps": 100,
        }
    )
    # the real rows are few and come with scikit-learn, so no synthetic ones are needed
    return base.variant(
        config,
        variant,
        synthetic={"shape": (7,), "num_classes": 0},
        smoke={"data.name": "iris", "model.num_blocks": 1},
    )
