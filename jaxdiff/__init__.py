"""jaxdiff: diffusion models in JAX and Flax. README.md shows the way in."""
