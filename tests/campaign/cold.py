"""A launcher in a new interpreter: python -m tests.campaign.cold launch.train ...

The smallest network is chosen by name like jaxdiff's own, which a launcher alone would
not find.
"""

import importlib.util
import runpy
import sys


def main() -> None:
    # it is executed when somebody imports it, and not before
    spec = importlib.util.find_spec("tests.runs.speck")
    assert spec and spec.loader
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["jaxdiff.models.speck"] = module
    loader.exec_module(module)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
