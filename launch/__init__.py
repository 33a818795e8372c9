"""The commands: python -m launch.NAME."""

import sys
from importlib import import_module

if sys.argv[0] == "-m":  # as `python -m` has it until it has found the module
    import_module("launch.same_bits").use()
    import_module("launch.allocator").use()
