"""From Python: `jaxdiff.load` a trained run, and `jaxdiff.fit` a model to data."""
