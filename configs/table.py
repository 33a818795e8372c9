"""Any CSV file of numeric and categorical columns, with the model of `iris.py`.

python -m launch.train --config=configs/table.py --config.data.path=my.csv \
    --workdir=runs/my

Batches of 256 rows; give a large table more steps with --config.train.num_steps.
"""

from configs import base, iris


def get_config(variant: str = ""):
    config = iris.get_config()
    config.data.name = "table"
    config.train.update({"batch_size": 256, "num_steps": 10_000})
    return base.variant(
        config,
        variant,
        synthetic={"shape": (7,), "num_classes": 0},
        smoke={"data.name": "iris", "model.num_blocks": 1},
    )
