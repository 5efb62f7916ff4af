"""The measured rows of CPU devices, dense, taken apart for the fit."""

from __future__ import annotations

from costmodel.cpu_file import load_core, load_runtime, load_soc, named
from costmodel.devices.cpus import listed
from costmodel.fit.features import Probe
from costmodel.fit.layout import Row
from costmodel.validation.exclusions import sift
from costmodel.validation.folder import Folder, Use
from costmodel.validation.measurement import Measurement
from costmodel.validation.nets import layers_of
from costmodel.validation.readers import measurements


def dense_rows(folder: Folder, use: Use, devices: frozenset[str] | None = None) -> list[Row]:
    """Return the dense rows of every CPU device marked ``use`` (of ``devices`` alone, where given).

    Left out besides the rules of ``costmodel.validation.exclusions``: data types that the core does not multiply in,
    and more threads than the model has cores.
    """
    kept = sift(measurements(folder), folder.path).kept
    found: list[Row] = []
    for entry in listed():
        if devices is not None and entry.device not in devices:
            continue
        places = {
            (line.soc, line.processor): line.runtimes
            for line in folder.devices
            if line.device == entry.device and line.use == use
        }
        wanted = [row for row in kept if _dense_at(row, places)]
        if not wanted:
            continue
        soc = load_soc(named("socs", entry.soc))
        cores = {part.core: load_core(named("cores", part.core)) for part in soc.clusters}
        probe = Probe(soc, cores, load_runtime(named("runtimes", entry.runtime)), entry.cluster)
        for row in wanted:
            if row.key.dtype in probe.device.dtypes and row.key.threads <= probe.device.unit_count:
                layers = layers_of(row.net, folder.path, row.batch)
                parts = probe.parts(layers, row.key.dtype, row.key.threads)
                core = soc.clusters[entry.cluster].core
                designs = [part.core for part in soc.clusters[entry.cluster :] for _ in range(part.count)]
                unequal = len(set(designs[: row.key.threads])) > 1
                found.append(Row(measured=row, runtime=entry.runtime, core=core, parts=parts, unequal=unequal))
    return found


def _dense_at(row: Measurement, places: dict[tuple[str, str], tuple[str, ...]]) -> bool:
    runtimes = places.get((row.key.soc, row.key.processor))
    return row.pattern == "dense" and runtimes is not None and (not runtimes or row.key.runtime in runtimes)
