"""Memory in pages of 2 MiB, for the process of a launcher.

On a CPU XLA takes the memory of a program's temporary arrays anew at every call, and
Linux hands it out in pages of 4 KiB, each set to zero: 172,000 of them in a training
step of a small U-Net, a quarter of its time. glibc takes larger pages only by a
variable that is set before a process starts, so a launcher starts itself once more,
before it has imported anything.

GLIBC_TUNABLES=glibc.malloc.hugetlb=0 turns it off.
Source: glibc manual, "Memory Allocation Tunables"; Linux, transhuge.rst.
"""

import contextlib
import os
import sys
from pathlib import Path

VARIABLE, TUNABLE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"
# it keeps a command from starting again for ever, if a wrapper resets the tunables
ONCE = "JAXDIFF_STARTED_AGAIN"
SYSTEM = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def use() -> None:
    """Start the command again, where that gives it larger pages."""
    changed = changes(os.environ, SYSTEM)
    if changed:
        with contextlib.suppress(OSError):  # then with small pages
            os.execve(sys.executable, sys.orig_argv, os.environ | changed)


def changes(environ, system: Path) -> dict[str, str]:
    """What the environment lacks: {} where the tunable is set, in a command that was
    started again, or where large pages are given always or never, by the file `system`.
    """
    given = environ.get(VARIABLE, "")
    try:
        free = "[madvise]" in system.read_text() and TUNABLE not in given
    except OSError:  # no Linux
        return {}
    new = {VARIABLE: f"{given}:{TUNABLE}=1".strip(":"), ONCE: "1"}
    return new if free and ONCE not in environ else {}
