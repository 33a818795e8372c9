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
    """make: the work, a dict -> (call, facts); call() does a unit of it, and may give
    an array of a GPU, which is waited for after the last call.
    """
    out, sys.stdout = sys.stdout, sys.stderr  # libraries print too
    call, facts = make(json.loads(sys.stdin.readline()))

    def seconds(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            last = call()
        if hasattr(last, "cpu"):
            last.cpu()
        return time.perf_counter() - start

    print(json.dumps({**facts, "first": seconds(1)}), file=out, flush=True)
    for line in sys.stdin:
        print(seconds(int(line)), file=out, flush=True)


def torch_ready(torch, model, work):
    """Where there is a GPU, the model there and compiled; else as many threads as the
    machine has cores. Arithmetic is that of the work, by autocast.

    Returns: the model, its device, a context to compute in, facts.
    """
    torch.set_num_threads(os.cpu_count() or 1)
    gpu = torch.cuda.is_available()
    device = "cuda" if gpu else "cpu"
    low = work["dtype"] == "bfloat16"
    facts = {
        "program": f"torch {torch.__version__}{', compiled' if gpu else ''}, {device}",
        "parameters": sum(p.numel() for p in model.parameters()),
        "threads": torch.get_num_threads(),
        "dtype": "bfloat16 by autocast" if low else "float32",
    }
    model = model.to(device)
    model = torch.compile(model) if gpu else model
    return model, device, lambda: torch.autocast(device, torch.bfloat16, low), facts


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
        return value.detach()

    return step
