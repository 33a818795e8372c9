"""The commands: python -m launch.NAME."""

import sys
from importlib import import_module

if sys.argv[0] == "-m":  # as `python -m` has it until it has found the module
    # before JAX is imported: both set variables, and the second starts Python again
    import_module("launch.same_bits").use()
    import_module("launch.allocator").use()
