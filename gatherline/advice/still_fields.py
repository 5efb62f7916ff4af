"""Why a field moves no latency: read off the results with and without the change, and off what ran.

First what the results say (a bound that moved and hides behind another, cycles that moved and hide behind the DRAM, no
cycle lost to the unit), then what the field is of: a kernel that no layer ran, another data type, units beyond those
that took part. Left out: fields that are two at a time without effect and together with one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from costmodel.spec import VALUE_BYTES, RooflineDevice
from gatherline.advice.wording import quantity
from gatherline.device_fields import DeviceField, FieldValue
from gatherline.request import RunRequest, Target
from simulator.result import LayerResult
from simulator.spec import Device

# what the attribution of cycles calls the part of a gather machine that a field is of, longest path first
_LOST_TO = {
    "gather.latency": "imbalance",  # pipeline fill and drain are in it
    "gather.interval": "interval",
    "gather": "conflict",
    "scratchpad.hash": "conflict",
    "scratchpad.banks": "conflict",
    "weight_buffer.bytes_per_cycle": "interval",
    "core": "interval",
    "scatter": "scatter",
    "mac.latency": "imbalance",
    "vector_unit": "vector",
    "dram": "dram",
}
_CALLED = {
    "conflict": "bank conflicts",
    "interval": "the weight buffer's pace",
    "scatter": "scatter stalls",
    "vector": "the vector unit",
    "dram": "waiting for DRAM",
    "imbalance": "imbalance and pipeline fill",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One other value: the device and the results by layer, or why it is ``refused``."""

    value: FieldValue
    device: Target | None = None
    results: tuple[LayerResult, ...] = ()
    refused: str = ""


def why_still(
    request: RunRequest, device: Target, base: Sequence[LayerResult], field: DeviceField, ran: Sequence[Trial]
) -> str:
    """Return why none of ``ran`` changes a latency; also where nothing could be tried."""
    if not ran:
        if field.value == 0:
            return f"is {field.value}: half and double of it are the same"
        return "no other value of it can be tried: every one was refused"
    if isinstance(device, Device):
        return _of_machine(device, base, field, ran)
    return _of_roofline(request, device, base, field, ran)


def _of_roofline(
    request: RunRequest, device: RooflineDevice, base: Sequence[LayerResult], field: DeviceField, ran: Sequence[Trial]
) -> str:
    hidden = _hidden(base, ran, field.unit)
    if hidden:
        return hidden
    parts = field.path.split(".")
    other = next((part for part in parts if part in VALUE_BYTES and part != request.dtype), None)
    if other is not None:
        return f"of {other}, and all layers run {request.dtype}"
    used = {result.kernel for result in base}
    if parts[0] == "kernels":
        name = _kernel_name(field.path)
        if name not in used:
            return f"no layer ran {name}"
        times = sum(result.kernel == name for result in base)
        return f"{times} layers ran {name}, and at their sizes none of its bounds depends on this number"
    return _of_units(request, device, field, ran) or (
        "no bound of any layer depends on it here: what ran does not read it, or only asks whether it is enough"
    )


def _of_units(request: RunRequest, device: RooflineDevice, field: DeviceField, ran: Sequence[Trial]) -> str:
    """Return what the units that took part say of a field of units, threads and rates of memory levels."""
    parts = field.path.split(".")
    count = request.threads if device.static_threads else device.unit_count
    taking = f"{count} of {device.unit_count} units"
    if parts[0] == "units" and device.static_threads:
        if int(parts[1]) >= len(device.taking_part(count)):
            return f"of units that took no part: {taking} ran"
        if parts[2] == "count":
            return f"threads decides how many run: {taking} did"
    if parts[0].startswith("thread_") and count == 1:
        return "of further threads, and one ran"
    if parts[0] == "levels" and parts[-1].endswith("bytes_per_s"):
        changed = (trial.device for trial in ran if isinstance(trial.device, RooflineDevice))
        if all(_rate(one, parts[1], count) == _rate(device, parts[1], count) for one in changed):
            return f"the other rate of {parts[1]} is what {taking} reach: a level gives the lesser of the two"
    if parts[0] == "levels" and parts[-1] == "bytes":
        return f"no operand of these layers crosses the size of {parts[1]} between the values tried"
    return ""


def _rate(device: RooflineDevice, level: str, count: int) -> int | None:
    return next((one.bytes_per_s(count) for one in device.levels if one.name == level), None)


def _hidden(base: Sequence[LayerResult], ran: Sequence[Trial], unit: str) -> str:
    """Return which bounds moved and behind which other they stay, in the layer where they come nearest; "" for none."""
    moved: set[str] = set()
    found: list[tuple[float, str, str, str, FieldValue]] = []
    for trial in ran:
        for before, after in zip(base, trial.results, strict=True):
            times = {name: value for name, value in after.bounds_s.items() if name != "overhead"}
            largest = max(times, key=lambda name: times[name], default="")
            for name, value in times.items():
                if value == before.bounds_s.get(name):
                    continue
                moved.add(name)
                if name != largest and times[largest]:
                    found.append((value / times[largest], after.layer, name, largest, trial.value))
    if not found:
        return ""
    ratio, layer, name, largest, tried = max(found, key=lambda one: one[0])
    bounds = f"the bound {name}" if len(moved) == 1 else f"the bounds {', '.join(sorted(moved))}"
    slack = f"times {1 / ratio:.4g} until it matters" if ratio else "nothing there"
    return (
        f"moves only {bounds}, hidden in every layer; nearest is {layer}: at {quantity(tried, unit)} {name} takes "
        f"{ratio:.3g} of {largest}, {slack}"
    )


def _kernel_name(path: str) -> str:
    """Return the kernel's name, which may hold dots, of ``kernels.NAME.field``."""
    return path.removeprefix("kernels.").rpartition(".")[0].partition(".mix")[0]


def _of_machine(device: Device, base: Sequence[LayerResult], field: DeviceField, ran: Sequence[Trial]) -> str:
    if field.path == "second_level.bytes_per_cycle" and not device.second_level.bytes:
        return "there is no second level: second_level.bytes is 0"
    shifted = _shifted(base, ran)
    if shifted:
        return shifted
    parts = next((path for path in _LOST_TO if field.path == path or field.path.startswith(f"{path}.")), None)
    lost = _lost(base)
    if parts is not None and not lost.get(_LOST_TO[parts], 0.0):
        return f"no cycle of any layer is lost to {_CALLED[_LOST_TO[parts]]}"
    moved = _counts(base, ran)
    if moved:
        return f"moves {moved}, and no cycle of any layer"
    if field.path.startswith("dram.timing"):
        return "no burst waits for this rule: at every value tried another rule of the DRAM is later"
    if field.path == "scratchpad.scatter_half" and all(result.encoding != "gs_scatter" for result in base):
        return "of gs_scatter streams alone, and no layer ran one"
    if all(one.mapping == other.mapping for trial in ran for one, other in zip(base, trial.results, strict=True)):
        if field.path.endswith(("bytes", "buffers")):
            return "no tile overflows it at half, and every layer is cut into the same tiles at twice"
        return "every layer is cut into the same tiles and takes the same cycles at every value tried"
    return "layers are cut into other tiles, which take the same cycles"


def _shifted(base: Sequence[LayerResult], ran: Sequence[Trial]) -> str:
    """Return which layers compute for longer or shorter and yet take as long: they wait for the DRAM."""
    names = {
        after.layer
        for trial in ran
        for before, after in zip(base, trial.results, strict=True)
        if before.cycles and after.cycles and before.cycles.compute != after.cycles.compute
    }
    if not names:
        return ""
    layers = f"{len(names)} layers" if len(names) > 1 else f"layer {next(iter(names))}"
    return f"hidden: it moves the compute cycles of {layers}, and all of them wait for DRAM"


def _lost(base: Sequence[LayerResult]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for result in base:
        for cause, cycles in (result.cycles.lost if result.cycles else {}).items():
            found[cause] = found.get(cause, 0.0) + cycles
    return found


def _counts(base: Sequence[LayerResult], ran: Sequence[Trial]) -> str:
    """Return the counters that move, in words."""
    moved = {
        part.name
        for trial in ran
        for before, after in zip(base, trial.results, strict=True)
        for part in fields(before.counters)
        if getattr(before.counters, part.name) != getattr(after.counters, part.name)
    }
    return ", ".join(sorted(moved))
