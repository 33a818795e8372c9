"""What a program that jaxdiff is timed against reads and prints.

`serve(make)` reads one line of JSON, the work, and prints one: facts about the program.
Then each line on standard input is a number of calls, and the line printed for it the
seconds that they took. So both sides can be timed in turn, warm.
"""

import json
import os
import sys
import time


def serve(make) -> None:
    """make: the work, a dict -> (call, facts); call() does a unit and waits for it."""
    out, sys.stdout = sys.stdout, sys.stderr  # libraries print too
    call, facts = make(json.loads(sys.stdin.readline()))
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    print(json.dumps({**facts, "first": first}), file=out, flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            call()
        print(time.perf_counter() - start, file=out, flush=True)


def torch_facts(torch, model) -> dict:
    """Also sets as many threads as the machine has cores."""
    torch.set_num_threads(os.cpu_count() or 1)
    return {
        "program": f"torch {torch.__version__}",
        "parameters": sum(p.numel() for p in model.parameters()),
        "threads": torch.get_num_threads(),
        "dtype": "float32",
    }


def torch_step(torch, model, work, loss):
    """One training step: loss() and its gradient, clipping, Adam, an average."""
    parameters = list(model.parameters())
    adam = torch.optim.Adam(parameters, lr=work["lr"])
    average = [p.detach().clone() for p in parameters]

    def step():
        value = loss()
        adam.zero_grad(set_to_none=True)
        value.backward()
        if work["clip_norm"]:
            torch.nn.utils.clip_grad_norm_(parameters, work["clip_norm"])
        adam.step()
        if work["averages"]:
            torch._foreach_lerp_(average, parameters, 1e-3)
        return value.item()  # the program waits for it, as a log would

    return step
