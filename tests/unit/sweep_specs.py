"""Small sweeps that tests run: the embedded model, whose points take milliseconds."""

from __future__ import annotations

from pathlib import Path

from gatherline.sweep.evaluate import evaluate
from gatherline.sweep.keys import Keys
from gatherline.sweep.point import LevelChoice, Machine, ModelChoice, RunOptions, Task

BANKS = """
schema = 1
name = "banks"
models = ["digits"]
patterns = ["dense", "gs:16,1"]
sparsities = [0.5]
[[devices]]
device = "gs-tcm"
[devices.fields]
"gather.window" = [1, 2, 4]
"scratchpad.banks" = [16, 24]
"scratchpad.hash" = ["none", "xor"]
[[devices]]
device = "snapdragon-855"
[objectives]
latency_s = "min"
area_mm2 = "min"
"""
POINTS, REFUSED = 2 * (3 * 2 * 2 + 1), 2 * 3  # 24 banks are no power of two, so cannot be hashed


def written_spec(folder: Path, text: str = BANKS, name: str = "banks.toml") -> Path:
    """Write a spec and return its file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def task_of(
    *machines: Machine,
    model: str = "digits",
    pattern: str = "gs:16,1",
    sparsity: float | None = 0.5,
    options: RunOptions | None = None,
) -> Task:
    """Return the task of these machines, its points numbered from 0."""
    level = LevelChoice(model=ModelChoice(model=model), pattern=pattern, sparsity=sparsity)
    chosen = options or RunOptions()
    keys = tuple(Keys(level, chosen, machine.base).key(machine.fields) for machine in machines)
    return Task(level=level, options=chosen, machines=machines, numbers=tuple(range(len(machines))), keys=keys)


def evaluate_or_die(task: Task) -> list[dict[str, object]]:
    """Die, as a worker that runs out of memory does, on the first run of a task: a file says that it was tried."""
    import os

    tried = Path(os.environ["GATHERLINE_TEST_TRIED"]) / str(task.numbers[0])
    if not tried.exists():
        tried.touch()
        os.kill(os.getpid(), 9)
    return evaluate(task)


def evaluate_and_die(task: Task) -> list[dict[str, object]]:
    """Die on every run of a task."""
    import os

    os.kill(os.getpid(), 9)
    return []


def evaluate_and_fail(task: Task) -> list[dict[str, object]]:
    """Raise what a fault of a model would."""
    raise ZeroDivisionError(f"no way to run point {task.numbers[0]}")
