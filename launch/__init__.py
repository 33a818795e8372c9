"""The commands: python -m launch.NAME."""

import sys

from launch import allocator

if sys.argv[0] == "-m":  # as `python -m` has it until it has found the module
    allocator.use()
