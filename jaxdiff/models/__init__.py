"""Networks f(x, t, cond) -> out: each file with a `make` can be named by a config."""
