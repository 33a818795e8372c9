"""Signals, damaged checkpoints, full disks and second writers, on real processes.

python -m tests.campaign --out=DIR            some twenty minutes; resumes if stopped
python -m tests.campaign --out=DIR --quick    a few tries of signals, in seconds

Prints what it does, and a table at the end; its exit status is 1 if there are faults.
"""

import argparse
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="of compiled programs; OUT/cache")
    flags = parser.parse_args()
    out = flags.out.resolve()
    from tests.campaign import processes

    processes.prepare(flags.cache or out / "cache")
    from tests.campaign import parts
    from tests.campaign.results import Results

    results = Results(out / "results.jsonl")
    parts.run(results, out, flags.seed, flags.quick)
    print(results.table())
    print(f"{results.faults} faults")
    sys.exit(min(results.faults, 1))


if __name__ == "__main__":
    main()
