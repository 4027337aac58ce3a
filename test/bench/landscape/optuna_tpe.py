"""Optuna's TPE over a recorded landscape: reads the space and its results from stdin, writes curves to stdout.

In:  {"kernels": [{"name", "start": [index, …], "dimensions": [{"name", "kind", "values"}],
       "values": {"0,1,2": log speedup or null when it failed}}], "evaluations": n, "seeds": [s, …]}
Out: {"optuna": version, "samplers": {name: [[value of each evaluation, …] per seed]}}

A configuration that comes a second time is answered from memory and not counted, as a run refuses twins. Evaluations
begin with the start of every kernel, as a run begins with its seeds.
"""

import json
import sys

import optuna

Landscape = list[dict]


def search(kernels: Landscape, evaluations: int, sampler: optuna.samplers.BaseSampler) -> list[float | None]:
    """The values of the distinct configurations in the order in which they were evaluated."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    by_name = {kernel["name"]: kernel for kernel in kernels}
    for kernel in kernels:
        fixed = {"kernel": kernel["name"]}
        for dimension, index in zip(kernel["dimensions"], kernel["start"], strict=True):
            fixed[f"{kernel['name']}.{dimension['name']}"] = index
        study.enqueue_trial(fixed)
    seen: dict[tuple[str, str], float | None] = {}
    total = sum(len(kernel["values"]) for kernel in kernels)
    for _ in range(50 * evaluations):
        if len(seen) >= min(evaluations, total):
            break
        trial = study.ask()
        name = trial.suggest_categorical("kernel", list(by_name))
        point = [suggest(trial, name, dimension) for dimension in by_name[name]["dimensions"]]
        key = (name, ",".join(map(str, point)))
        value = by_name[name]["values"][key[1]]
        seen.setdefault(key, value)
        passed = [known for known in seen.values() if known is not None]
        # A failure has no value; to the sampler it is worse than all that passed.
        study.tell(trial, value if value is not None else min(passed, default=0.0) - 1.0)
    return list(seen.values())


def suggest(trial: optuna.Trial, kernel: str, dimension: dict) -> int:
    """The index of a value: an integer where the values have an order, one of a set where not."""
    name = f"{kernel}.{dimension['name']}"
    last = len(dimension["values"]) - 1
    if dimension["kind"] == "ordinal":
        return trial.suggest_int(name, 0, last)
    return trial.suggest_categorical(name, list(range(last + 1)))


def main() -> None:
    """Reads the landscape, searches it with each sampler and seed, prints the curves."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    given = json.load(sys.stdin)
    samplers = {
        "TPE": lambda seed: optuna.samplers.TPESampler(seed=seed),
        "TPE, multivariate, grouped": lambda seed: optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, warn_independent_sampling=False
        ),
    }
    curves = {
        name: [search(given["kernels"], given["evaluations"], make(seed)) for seed in given["seeds"]]
        for name, make in samplers.items()
    }
    json.dump({"optuna": optuna.__version__, "samplers": curves}, sys.stdout)


if __name__ == "__main__":
    main()
