"""The short form of the campaign, in a process that touches no device before it forks.

The whole is run by hand: python -m tests.campaign --out=DIR
"""

import subprocess
import sys

from tests.launch.conftest import CACHE, ROOT


def test_a_run_that_is_stopped_again_and_again_is_the_uninterrupted_one(tmp_path):
    command = [sys.executable, "-m", "tests.campaign", f"--out={tmp_path}", "--quick"]
    done = subprocess.run(
        [*command, f"--cache={CACHE}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| a. training, few | 4 | 0 |" in done.stdout
