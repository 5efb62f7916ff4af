"""Lowers a live ``torch.nn.Module``: exports it, saves the export, and reads that back like any other ``.pt2`` file.

The only file of the package that imports torch, inside the function. The export is never loaded by torch again.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from traces.layer import ModelError, Network


def lower_module(
    module: Any, example_inputs: tuple[Any, ...], *, name: str | None = None, strict: bool = False
) -> Network:
    """Lower an ``nn.Module`` in its evaluation mode; its mode is restored afterwards.

    ``example_inputs``: the positional arguments of its ``forward``, whose shapes the network gets. Raises ModelError
    where torch cannot export the module and, if ``strict``, for an operator that is not lowered.
    """
    import torch

    from traces.lower.pt2_file import read_pt2

    if not isinstance(module, torch.nn.Module):
        raise ModelError(
            f"model {name or type(module).__name__}: a {type(module).__name__}, and must be a torch.nn.Module"
        )
    label = name or type(module).__name__
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        with torch.no_grad():
            exported = torch.export.export(module, tuple(example_inputs))
    except Exception as error:  # torch raises many kinds; all mean that this module cannot be exported
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"model {label}: torch.export cannot export it: {first_line}") from error
    finally:
        for part, training in modes:
            part.training = training
    with tempfile.TemporaryDirectory(prefix="gatherline-") as folder:
        file = Path(folder) / "module.pt2"
        torch.export.save(exported, file)
        try:
            network = read_pt2(file, strict=strict)
        except ModelError as error:
            raise ModelError(str(error).replace(str(file), f"model {label}")) from error
    return dataclasses.replace(network, name=label, source=f"torch.nn.Module {label}")
