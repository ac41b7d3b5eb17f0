"""Which sounds recur: grym against seven other ways, on scenes whose truth is known.

Scenes of 15 minutes with real sounds (``make sounds``), three presets; seeds from 100 on were never
tuned on, and only on those, with all presets, are floors judged. What the measures are stands in
``measures``, what the scenes hold in ``planning`` and ``casting``, and all of it in
``docs/discovery.md``.

``python -m bench.discovery``; ``--seeds 1 --presets easy --no-baselines`` for a quick look.

Invariant: the result does not depend on the number of processes, but for CPU times.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from rich.console import Console

from bench import sounds
from bench.discovery import figures as counted
from bench.discovery.baselines import BASELINES, EXTRA, BaselineError
from bench.discovery.floors import floors, not_above, unjudged
from bench.discovery.scoring import CANDIDATES, GRYM, Outcome, Task, scored
from bench.discovery.tables import report
from operators.models import ModelError
from operators.scene.presets import PRESETS

SEEDS = (100, 101, 102, 103)
INSTALL = "python -m pip install --constraint constraints.txt --editable '.[bench]'"

Work = Callable[[Task], Outcome]


def main(arguments: list[str] | None = None, work: Work = scored) -> int:
    """Measure, print tables, then one JSON line.

    Args:
        arguments: of the command line.
        work: what is done with each scene; can be pickled, unless there is one process.

    Returns:
        1 where a floor is missed, 2 without sounds or packages.
    """
    asked = _parser().parse_args(arguments)
    names = tuple(name for name in CANDIDATES if name in (asked.only or CANDIDATES))
    if asked.no_baselines:
        names = tuple(name for name in names if name not in BASELINES)
    lacking = unready(names)
    if lacking:
        sys.stderr.write(f"{lacking}; floors are not judged\n")
        return 2
    tasks = [Task(seed, preset, names) for preset in asked.presets for seed in asked.seeds]
    try:
        outcomes = list(heard(tasks, asked.jobs, work))
    except (BaselineError, ModelError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    outcomes.sort(key=lambda each: (list(PRESETS).index(each.preset), each.seed))
    return conclude(outcomes, asked.seeds, asked.presets, names)


def unready(names: Sequence[str]) -> str:
    """What is lacking to run the candidates, with the line that mends it; "" if nothing."""
    if not names:
        return "no candidate was asked for"
    missing = sounds.missing(sounds.root())
    if missing:
        packages = ", ".join(package.name for package in missing)
        return f"no sounds to measure with ({packages}): run `make sounds` first"
    modules = sorted(name for name in EXTRA if importlib.util.find_spec(name) is None)
    if modules and any(name in BASELINES for name in names):
        return f"the baselines need {', '.join(modules)}: run `{INSTALL}`, or use --no-baselines"
    return ""


def heard(tasks: Sequence[Task], jobs: int, work: Work) -> Iterator[Outcome]:
    """The outcomes as they come; progress on stderr.

    Raises:
        BaselineError, ModelError: a baseline cannot run.
    """
    began = time.monotonic()

    def told(number: int, outcome: Outcome) -> Outcome:
        spent = f"{time.monotonic() - began:.0f} s"
        at = f"{number}/{len(tasks)} {outcome.preset}-{outcome.seed}"
        sys.stderr.write(f"{at} ({spent})\n")
        return outcome

    if jobs == 1:
        for number, task in enumerate(tasks, start=1):
            yield told(number, work(task))
        return
    # One thread each: more only makes them wait for one another.
    for variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context) as pool:
        futures = [pool.submit(work, task) for task in tasks]
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                yield told(number, future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def conclude(
    outcomes: Sequence[Outcome], seeds: Sequence[int], presets: Sequence[str], names: Sequence[str]
) -> int:
    """Print tables, what was missed, and the last line; 1 where a floor is missed."""
    figures: dict[str, Any] = {
        "bench": "discovery",
        "seeds": list(seeds),
        "presets": list(presets),
        "scenes": len(outcomes),
        "candidates": counted.candidates(outcomes),
        "grym": counted.grym(outcomes),
        "reliability": counted.calibration(outcomes),
        "kinds": counted.of_one_kind(outcomes),
    }
    report(Console(stderr=True, width=140), figures)
    missed = None
    why_not = unjudged(seeds, presets, names)
    if why_not:
        sys.stderr.write(f"floors are not judged: {why_not}\n")
    else:
        missed = _missed(figures, names)
    figures["missed"] = missed
    figures["held"] = None if missed is None else not missed
    sys.stdout.write(json.dumps(counted.rounded(figures), allow_nan=False) + "\n")
    return 1 if missed else 0


def _missed(figures: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Every floor that did not hold, told on stderr."""
    judged = floors(figures["candidates"], figures["grym"], figures["reliability"].get("ece"))
    missed = [
        f"{floor.name}: {'unknown' if floor.value is None else f'{floor.value:.3f}'}, "
        f"{'at least' if floor.at_least else 'at most'} {floor.bound:g}"
        for floor in judged
        if not floor.held
    ]
    missed += [f"not above: {line}" for line in not_above(figures["candidates"])]
    for line in missed:
        sys.stderr.write(f"missed: {line}\n")
    absent = [name for name, each in BASELINES.items() if each.online and name not in names]
    if absent:
        sys.stderr.write(f"not held against {', '.join(absent)}, which did not run\n")
    return missed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.discovery", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=_seeds, default=SEEDS, help="100,101,...")
    parser.add_argument("--presets", type=_presets, default=tuple(PRESETS), help="easy,medium,hard")
    parser.add_argument("--only", nargs="+", choices=CANDIDATES, metavar="NAME", help=_listed())
    parser.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--no-baselines", action="store_true", help=f"{GRYM} alone")
    return parser


def _listed() -> str:
    return ", ".join(CANDIDATES)


def _seeds(text: str) -> tuple[int, ...]:
    seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    if min(seeds) < 0:
        raise argparse.ArgumentTypeError("seeds are not negative")
    return seeds


def _presets(text: str) -> tuple[str, ...]:
    presets = tuple(dict.fromkeys(text.split(",")))
    unknown = sorted(set(presets) - set(PRESETS))
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(PRESETS)}")
    return presets


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least one process")
    return value


if __name__ == "__main__":
    sys.exit(main())
