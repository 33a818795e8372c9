"""The whole campaign: python -m tests.fuzz --num=20000 --seed=0

Prints a row for each kind of input, and every fault; exit status 1 if there is one.
"""

import argparse
import sys
import warnings

from tests.fuzz import campaign, kinds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", help="only one, by its name")
    flags = parser.parse_args()
    warnings.simplefilter("ignore")
    shares = {k: v for k, v in kinds.SHARES.items() if flags.kind in (None, k.__name__)}
    total, faults = sum(shares.values()), []
    print(
        f"{'kind':14}{'inputs':>8}{'accepted':>10}{'refused':>9}{'faults':>8}{'slowest':>10}"
    )
    for make, share in shares.items():
        num = max(1, round(flags.num * share / total))
        row = campaign.run(make.__name__, make, num, flags.seed)
        counts = f"{row.accepted:10}{row.refused:9}{len(row.faults):8}"
        print(f"{row.kind:14}{num:8}{counts}{row.slowest:8.2f} s", flush=True)
        faults += row.faults
    print(*faults, sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
