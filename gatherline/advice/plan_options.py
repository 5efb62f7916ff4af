"""The options of a run that a plan keeps: its times were made with them, and a run of it takes those not given.

``inputs`` is told beside them: the shapes that the network really had, so that another run can tell whether its own
are the same. Leaves out: the device, which has its own table, and what a plan answers (patterns, sparsities, ratios).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gatherline.request_error import RequestError
from patterns.names import nearest
from traces.layer import Network

if TYPE_CHECKING:
    from gatherline.advice.plan import Plan, Value
    from gatherline.request import RunRequest

OPTIONS: dict[str, type] = {
    "dtype": str, "threads": int, "batch": int, "input_shape": str, "seed": int, "encoding": str, "order": str,
    "technology": str,
}  # fmt: skip
INPUTS = "inputs"
_BY_INPUTS = ("batch", "input_shape")  # told by the shapes that they make


def kept_options(run: RunRequest, network: Network) -> dict[str, Value]:
    """Return the table ``run`` of a plan: options, None where the model itself decides, and the inputs' shapes."""
    return {**{name: getattr(run, name) for name in OPTIONS}, INPUTS: input_shapes(network)}


def input_shapes(network: Network) -> str:
    """Return the shapes of a network's inputs, batch first, as in "1,3,224,224"; names differ between kinds of file."""
    return "; ".join(",".join(map(str, network.tensors[name].shape)) for name in network.inputs)


def check_options(where: str, run: Mapping[str, object]) -> None:
    """Raise RequestError for a key that is no option of a run, or a value of another type."""
    for name, value in run.items():
        if name != INPUTS and name not in OPTIONS:
            raise RequestError(f"{where}: run: key {name} is not known; {nearest(name, [*OPTIONS, INPUTS])}")
        wanted = OPTIONS.get(name, str)
        if isinstance(value, bool) or not isinstance(value, wanted):
            spoken = "text" if wanted is str else "a whole number"
            raise RequestError(f"{where}: run.{name} is {value!r}, and must be {spoken}")


def planned_options(plan: Plan, given: Mapping[str, object]) -> dict[str, object]:
    """Return ``given`` and, for options that are not there or None, those that ``plan`` was made with."""
    kept = {name: plan.run[name] for name in OPTIONS if name in plan.run}
    chosen = {name: value for name, value in given.items() if value is not None}
    if "input_shape" in chosen:
        kept.pop("batch", None)  # a shape has its own
    elif "batch" in chosen and "input_shape" in kept:
        shape = str(kept["input_shape"])
        batches = {part.rpartition("=")[2].split(",")[0].strip() for part in shape.split(";")}
        if not batches <= {"1", str(chosen["batch"])}:  # a batch of 1 gives way to another
            raise RequestError(
                f"batch is {chosen['batch']}, and {plan.path} was made with input shape {shape}: give the whole shape"
            )
    return {**kept, **chosen}


def other_options(plan: Plan, run: RunRequest, network: Network) -> list[str]:
    """Return in what a run differs from the one that ``plan`` was made with, a sentence each."""
    found = []
    for name in OPTIONS:
        before, now = plan.run.get(name), getattr(run, name)
        if plan.run and name not in _BY_INPUTS and before != now and not (name == "seed" and not network.synthetic):
            found.append(f"the plan was made with {_spoken(name, before)}, and this run has {_spoken(name, now)}")
    before, now = plan.run.get(INPUTS), input_shapes(network)
    if before is not None and before != now:
        found.append(f"the plan was made with inputs of shape {before}, and this run has {now}")
    return found


def _spoken(name: str, value: object) -> str:
    return f"no {name}" if value is None else f"{name} {value}"
