"""Networks f(x, t, cond) -> out. A config can name each file that has a `make`."""
