"""A spec that cannot be is one line that names file, key, value and rule, and the nearest key that is known."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatherline.request_error import RequestError
from gatherline.sweep.spec_file import parse_spec, read_spec
from gatherline.sweep.spec_reading import spec_of

HERE = Path("spec.toml")
GOOD = 'models = ["digits"]\npatterns = ["gs:16,1"]\nsparsities = [0.9]\ndevices = ["gs-tcm"]\n'
ON_DEVICE = 'models = ["digits"]\npatterns = ["dense"]\n[[devices]]\ndevice = "gs-tcm"\n[devices.fields]\n'


def refused(text: str) -> str:
    with pytest.raises(RequestError) as caught:
        parse_spec(text, HERE)
    message = str(caught.value)
    assert message.startswith("spec.toml: ")
    assert len(message.splitlines()) == 1
    return message.removeprefix("spec.toml: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = 1", "unknown key model; did you mean models?"),
        ("[run]\nbatch = 1", "unknown key run.batch; batch belongs to a table in models, as in models = [{ model"),
        ("[run]\nsparsities = 0.5", "unknown key run.sparsities; sparsities belongs to the top of the spec"),
        ("dtype = 'fp32'", "unknown key dtype; dtype belongs to the table run"),
        ("[run]\nthread = 1", "unknown key run.thread; did you mean threads?"),
        ("[method]\nnames = 1", "unknown key method.names; did you mean name?"),
        ("[objectives]\nlatency = 'min'", "unknown key objectives.latency; did you mean latency_s?"),
        ("[constraints]\nlatency_s = { max = 1 }", "unknown key constraints.latency_s.max; known are most, least"),
        ("schema = 2", "schema is 2, and this version reads 1: a newer one wrote it"),
        ("schema = 'x'", "schema is 'x', and must be 1"),
        ("name = ''", "name is '', and must be text of 1 to 100 printable letters"),
        ("levels = 1", "models[0].levels are of a model pruned to nested levels, and digits is built in"),
        ("levels = [0]", "models[0].levels is 0, and must be at least 1"),
        ("run = 1", "run is 1, and must be a table"),
        ("[run]\ndtype = 'fp8'", "run.dtype is 'fp8'; known are fp32, fp16, int8"),
        ("[run]\nthreads = []", "run.threads is an empty list, and must have at least one value"),
        (
            "[run]\nthreads = { from = 1, to = 6 }",
            "run.threads is a range without steps, and needs steps, step or a list",
        ),
        ("[run]\nmapping = ['auto', 'x']", "run.mapping: mapping 'x' must read 'rows=R tile=HxW channels=C"),
        ("[run]\nratios = 'no.csv'", "run.ratios is 'no.csv', and there is no such file beside the spec"),
        ("[objectives]", "objectives is empty, and must name at least one of"),
        ("[objectives]\nlatency_s = 'least'", "objectives.latency_s is 'least', and must be min or max"),
        ("[objectives]\naccuracy = 'max'", "objectives.accuracy needs the table [accuracy]"),
        ("[constraints]\nlatency_s = 1", "constraints.latency_s is 1, and must be a table of most, least or both"),
        ("[constraints.latency_s]\nmost = 0.02", "constraints.latency_s.most is 0.02, and needs a unit, as in"),
        ("[constraints.latency_s]\nmost = '20 MS'", "'MS' is no unit of it; did you mean ms?"),
        ("[constraints.latency_s]\nmost = '-1 ms'", "constraints.latency_s.most is '-1 ms', and must be at least 0"),
        ("[constraints.kept_l1]\nleast = 90", "constraints.kept_l1.least is 90, and must be from 0 to 1"),
        ("[constraints.dram_bytes]\nmost = '1 MB'\nleast = '1 MiB'", "constraints.dram_bytes.least is '1 MiB', and"),
        ("[accuracy]\nfile = 'a.csv'", "accuracy.column is '', and must be a text"),
        ("[accuracy]\nfile = 'a.csv'\ncolumn = 'top1'", "accuracy.file is 'a.csv', and there is no such file"),
        ("[method]\nname = 'nsga3'", "method.name is 'nsga3'; did you mean nsga2?"),
        ("[method]\nname = 'random'", "method.points is missing, and method random needs it"),
        ("[method]\nname = 'random'\npoints = 0", "method.points is 0, and must be a whole number from 1 to"),
        ("[method]\nseed = 1", "method.seed is 1, and method grid takes every point in order"),
        ("[method]\nname = 'sobol'\npoints = 9\npopulation = 2", "method.population is 2, and method sobol draws all"),
    ],
)
def test_the_top_of_a_spec(text: str, message: str) -> None:
    assert message in refused(text if text.startswith("models") else f"{GOOD}{text}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "models is missing, and must name at least one"),
        ("models = []", "models is an empty list"),
        (
            "models = ['digit']",
            "models[0] is 'digit', neither a file beside the spec nor built in; did you mean digits?",
        ),
        (f"models = ['{'a' * 5000}']", "aaa...', neither a file beside the spec nor built in"),
        ("models = [{ arch = 'x' }]", "models[0].model is missing"),
        ("models = [{ model = 'digits', batsh = 1 }]", "unknown key models[0].batsh; did you mean batch?"),
        ("models = [{ model = 'digits', batch = 0 }]", "models[0].batch is 0, and must be at least 1"),
        ("models = 'digits'", "patterns is missing"),
        ("models = 'digits'\npatterns = 'gs:16'", "gs:16"),
        ("models = 'digits'\npatterns = 'dense'", "devices is missing, and must name at least one"),
        (
            "models = 'digits'\npatterns = 'gs:16,1'\nsparsities = 1.0",
            "sparsities has 1.0, and each must be at least 0",
        ),
        ("models = 'digits'\npatterns = 'gs:16,1'\nsparsities = [nan]", "sparsities is nan, and must be finite"),
        ("models = 'digits'\npatterns = 'channel'\ndevices = 'a100'", "patterns has channel, which needs sparsities"),
        ("models = 'resnet50'\npatterns = 'gs:16,1'\ndevices = 'a100'", "made-up weights without any"),
        (
            "models = 'digits'\nsparsities = { from = 0.5, to = 0.9 }\ndevices = 'a100'",
            "sparsities is a range without steps, and a grid needs steps, step or a list",
        ),
        ("models = 'resnet50'\nsparsities = 0.9\nrun.ratios = 'str-90.23'", "and sparsities were given too"),
        (
            "models = 'digits'\nsparsities = 0.9\ndevices = 'gs-tmc'",
            "device 'gs-tmc' is not known; did you mean gs-tcm?",
        ),
        ("models = 'digits'\nsparsities = 0.9\ndevices = 'no.toml'", "no such device file"),
        (
            "models = 'digits'\nsparsities = 0.9\ndevices = 'm40'",
            "dtype is 'fp16' (the default), and m40 has fp32: set run.dtype",
        ),
        ("models = 'digits'\nsparsities = 0.9\ndevices = [{}]", "devices[0].device is missing"),
        ("models = 'digits'\nsparsities = 0.9\nrun.encoding = 'csv'\ndevices = 'a100'", "encoding 'csv' is not known"),
        (
            "models = 'digits'\npatterns = 'channel'\nsparsities = 0.5\nrun.ratios = 'erk'\ndevices = 'a100'",
            "one ratio",
        ),
        (
            "models = 'digits'\nsparsities = 0.5\ndevices = ['a100', 'a100']",
            "devices has a100 twice with no field changed",
        ),
    ],
)
def test_models_masks_and_devices(text: str, message: str) -> None:
    assert message in refused(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scratchpad.bank = 8", "fields.scratchpad.bank of device gs-tcm; did you mean scratchpad.banks?"),
        ("window = 8", "did you mean gather.window?"),
        ("scratchpad.ports = 8", "did you mean gather.ports or scatter.ports? simulate list devices gs-tcm lists them"),
        ("clock_hz = 1000000000", 'devices[0].fields.clock_hz is 1000000000, and needs a unit, as in "1 GHz"'),
        ("clock_hz = '1 GB'", "'GB' is no unit of it; known are Hz, kHz, MHz, GHz, THz"),
        ("clock_hz = '1 Ghz'", "'Ghz' is no unit of it; did you mean GHz?"),
        ("clock_hz = 'fast'", "devices[0].fields.clock_hz is 'fast', and must be a text like \"1 GHz\""),
        ("clock_hz = '0.5 Hz'", "clock_hz is '0.5 Hz', and must be a whole number of Hz"),
        ("clock_hz = '1e30 Hz'", "clock_hz is '1e30 Hz', and must be below 2^63 Hz"),
        ("clock_hz = '1e999999999 Hz'", "must be a text like"),
        ("gather.window = []", "devices[0].fields.gather.window is an empty list"),
        ("gather.window = 1.5", "devices[0].fields.gather.window is 1.5, and must be a whole number"),
        ("gather.window = '4 lanes'", "gather.window is '4 lanes', and must be a number without a unit"),
        ("gather.window = true", "gather.window is true, and must be a number"),
        ("gather.window = 1979-05-27", "gather.window is 1979-05-27 (a date), and must be a number"),
        ("gather.window = inf", "gather.window is inf, and must be finite"),
        ("gather.window = [[1]]", "gather.window is a list of 1, and must be a number"),
        ("gather.window = 99999999999999999999999999", "is a number beyond 2^63, and must be below 2^63"),
        ("gather.window = { from = 4, to = 1, steps = 2 }", "window.from is 4, and must be at most to, which is 1"),
        ("gather.window = { from = 1, to = 4, steps = 0 }", "window.steps is 0, and must be a whole number from 1"),
        ("gather.window = { from = 1, to = 4, steps = 1 }", "steps is 1, and must be at least 2 where from and"),
        ("gather.window = { from = 1, to = 4, step = 0 }", "gather.window.step is 0, and must be above 0"),
        ("gather.window = { from = 1, to = 4, step = 1, steps = 2 }", "has step and steps, and one of them says"),
        ("gather.window = { from = 1, to = 9999999, step = 1 }", "has 9999999 values, and at most 100000 are taken"),
        ("gather.window = { from = 1, to = 4, stop = 1 }", "unknown key devices[0].fields.gather.window.stop; did"),
        ("gather.window = { from = 1, steps = 4 }", "gather.window.to is missing, and a range needs it"),
        ("gather.window = { from = 0, to = 4, steps = 2, scale = 'log' }", "must be above 0 on a log scale"),
        ("gather.window = { from = 1, to = 4, step = 1, scale = 'log' }", "and a log scale takes steps, their number"),
        ("gather.window = { from = 1, to = 4, steps = 2, scale = 'x' }", "scale is 'x', and must be one of linear,"),
        ("gather.window = { from = 1, to = 9 }", "device gs-tcm: gather.window is a range without steps, and a"),
        ("gather.order = 'ooo'", "gather.order is 'ooo'; known are in_order, out_of_order"),
        ("gather.order = { from = 1, to = 2 }", "gather.order is a range, and its values are no numbers"),
        ("gather.coalesce = 1", "gather.coalesce is 1, and must be true or false"),
        ("gather.interval = '1/0'", "gather.interval is '1/0', and must be"),
        ("dram.timing = ['flat']\ndram.timing.cl = 9", "not a readable TOML file"),
        ("'dram.timing' = ['flat']\n'dram.timing.cl' = 9", "fields has dram.timing and dram.timing.cl, and the first"),
        ("'scratchpad.banks' = 8\nscratchpad.banks = 16", "devices[0].fields.scratchpad.banks is there twice"),
        ("a.b.c.d.e.f.g.h.i.j = 1", "and no field lies so deep"),
        ("a" + ".a" * 2000 + " = 1", "and no field lies so deep"),
        ("gather.window = " + "[" * 3000 + "]" * 3000, "not a readable TOML file"),
        ("gather.window = " + "1" * 5000, "not a readable TOML file"),
        ("name = 'x'", "unknown field devices[0].fields.name"),
        ("[devices.follow]\n'gather.lanes' = 'scratchpad.banks'", "must be one of fields: none"),
        (
            "scratchpad.banks = [8]\ngather.lanes = [8]\n[devices.follow]\n'gather.lanes' = 'scratchpad.banks'",
            "devices[0].follow.gather.lanes follows scratchpad.banks, and has values of its own too",
        ),
        (
            "gather.window = [8]\n[devices.follow]\nclock_hz = 'gather.window'",
            "clock_hz follows gather.window, and must take the same values: whole Hz here, whole there",
        ),
    ],
)  # fmt: skip
def test_fields_of_a_device(text: str, message: str) -> None:
    assert message in refused(f"{ON_DEVICE}{text}")


def test_a_file_that_is_no_spec(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"none\.toml: no such spec file"):
        read_spec(tmp_path / "none.toml")
    with pytest.raises(RequestError, match="it cannot be read"):
        read_spec(tmp_path)
    for data in (b"\xff\xfe", b"models = ", b"\x00", b"a = 1\na = 2"):
        (tmp_path / "bad.toml").write_bytes(data)
        with pytest.raises(RequestError, match=r"bad\.toml: not a readable TOML file"):
            read_spec(tmp_path / "bad.toml")


leaves = (
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates()
    | st.sampled_from(["digits", "gs:16,1", "gs-tcm", "1 GHz", "min", "grid", "fp16", 0.9])
)  # fmt: skip
KEYS = ["device", "model", "fields", "follow", "from", "to", "steps", "clock_hz", "name", "most", "latency_s", "dtype"]
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner),
    max_leaves=6,
)  # fmt: skip


@given(
    st.sampled_from([*tomllib.loads(GOOD), "run", "objectives", "constraints", "accuracy", "method", "levels"]),
    anything,
)
@settings(deadline=None)
def test_anything_in_place_of_a_table_is_a_spec_or_one_line(key: str, value: Any) -> None:
    message = "spec.toml: taken"
    try:
        spec_of({**tomllib.loads(GOOD), key: value}, "", HERE)
    except RequestError as error:
        message = str(error)
    assert message.startswith("spec.toml: ")
    assert len(message.splitlines()) == 1
