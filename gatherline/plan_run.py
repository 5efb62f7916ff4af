"""``simulate run --plan``: a network with the pattern that a plan has for each layer, on devices, to a report.

The rows are those of any run, their pattern "plan" and ``layer_pattern`` the one of the layer. Leaves out: FPGAs, whose
engine is built for one pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from costmodel.spec import RooflineDevice
from gatherline import pipeline
from gatherline.advice.plan import PLAN, Plan
from gatherline.advice.plan_masks import plan_shares, planned_network
from gatherline.advice.plan_options import other_options
from gatherline.digest import device_digest
from gatherline.pipeline_types import Report
from gatherline.progress import Progress, SilentProgress
from gatherline.request import RequestError, RunRequest, Target, device_named, devices_of, lower, with_dtype
from gatherline.shares import overall
from patterns.unstructured import Unstructured
from simulator.spec import DeviceError
from traces.layer import Network
from traces.masks import Level, kept_dense


def run_plan(
    request: RunRequest, plan: Plan, progress: Progress | None = None, *, network: Network | None = None
) -> Report:
    """Return the rows of ``request``'s model under ``plan``; without devices on the plan's own.

    What differs from the run that the plan was made with is told in the manifest, under plan and among the notes.

    Raises RequestError where the request asks for masks too, or the plan is of another model, and what a run raises.
    """
    for name, least in (("patterns", ()), ("sparsities", ()), ("ratios", "uniform"), ("match", "density")):
        if getattr(request, name) != least:
            raise RequestError(f"{name} is {getattr(request, name)!r}, and a plan says how each layer is pruned")
    if request.prune_all or request.level is not None:
        raise RequestError("--all and --level were given, or one of them, and a plan says which layers are pruned")
    devices = _devices(request, plan)
    network = network if network is not None else lower(request)
    shown = progress or SilentProgress()
    shown.start(len(network.layers), f"{network.name}: {len(devices)} devices")
    try:
        found = plan_rows(request, plan, network, devices, shown)
    finally:
        shown.stop()
    made = {**pipeline.manifest(request, network, devices), "complete": True}
    differs = _notes(request, plan, network, devices)
    return Report(
        manifest={**made, "plan": {**_about(plan), "differs": differs}, "notes": [*network.notes, *differs]},
        rows=found.rows,
        masks=tuple(found.masks),
    )


def plan_rows(
    request: RunRequest, plan: Plan, network: Network, devices: Sequence[Target], shown: Progress
) -> pipeline.LevelFound:
    """Return the rows of ``network`` under ``plan``: layers and total of each device. Raises RequestError."""
    for device in devices:
        refuse_fabric(device)
    reasons = {name: why for name, why in kept_dense(network, False).items() if plan.of(name) is None}
    traced = planned_network(plan, network, reasons)
    shares = plan_shares(plan, network, reasons)
    level = Level(pattern=Unstructured(), sparsity=overall(network, shares), shares=shares)
    return pipeline.run_level(request, traced, level, devices, shown, PLAN)


def refuse_fabric(device: Target) -> None:
    """Raise DeviceError for an FPGA: what a layer takes there depends on all others."""
    if isinstance(device, RooflineDevice) and device.fabric is not None:
        raise DeviceError(
            f"device {device.name} is an FPGA: one engine is built for the pattern and the layers of the whole "
            f"network, so its layers cannot be chosen one by one (simulate run compares whole networks)"
        )


def _devices(request: RunRequest, plan: Plan) -> list[Target]:
    if request.devices:
        return devices_of(request)
    try:
        device_named(plan.device)
    except DeviceError:
        raise DeviceError(f"device {plan.device} of the plan is no preset: give its file with --device") from None
    return devices_of(replace(request, devices=(plan.device,)))


def _about(plan: Plan) -> dict[str, object]:
    return {
        "path": plan.path,
        "model": plan.model,
        "model_hash": plan.model_hash,
        "device": plan.device,
        "device_hash": plan.device_hash,
        "layers": len(plan.layers),
    }


def _notes(request: RunRequest, plan: Plan, network: Network, devices: Sequence[Target]) -> list[str]:
    """Return in what this run differs from the one that the plan was made for."""
    dtype = str(plan.run.get("dtype", request.dtype))  # which is no change of the device, and is told for itself
    others = [device.name for device in devices if device_digest(with_dtype(device, dtype)) != plan.device_hash]
    return [
        *(f"the plan was made for {plan.device}, and {name} is another device or another version" for name in others),
        *other_options(plan, request, network),
    ]
