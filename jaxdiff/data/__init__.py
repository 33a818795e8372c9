"""Data sets, as sources that are read by index. Each file has a make()."""
