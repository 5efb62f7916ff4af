"""``docs/cluster.md``: its local commands run, and its options and manifests are what the programs take."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from gatherline.sweep.store import Store

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
LOCAL = re.findall(r"<!-- local -->\n```sh\n(.*?)\n```", TEXT, re.DOTALL)
SPEC = """schema = 1
name = "few"
models = ["digits"]
patterns = ["dense"]
[[devices]]
device = "gs-tcm"
[devices.fields]
"gather.window" = [1, 2, 4]
"""
MODULES = {"dask scheduler": "distributed.cli.dask_scheduler", "dask worker": "distributed.cli.dask_worker"}
START_S = 60.0


def started(line: str, folder: Path) -> subprocess.Popen[bytes]:
    """Run a command of the document by this interpreter."""
    words = shlex.split(line)
    module = MODULES.get(" ".join(words[:2]))
    program = (
        [sys.executable, "-m", module] if module else [sys.executable, "-c", "from gatherline.cli import main; main()"]
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_LOGGING__DISTRIBUTED": "critical",
                   "GATHERLINE_CACHE": str(folder / "cache")}  # fmt: skip
    return subprocess.Popen([*program, *words[2 if module else 1 :]], cwd=folder, env=environment)


@pytest.mark.slow
def test_the_three_local_commands_run_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "SPEC.toml").write_text(SPEC)
    scheduler_line, worker_line, sweep_line = LOCAL
    scheduler = started(scheduler_line, tmp_path)
    workers = None
    try:
        end = time.monotonic() + START_S
        while not (tmp_path / "scheduler.json").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        workers = started(worker_line, tmp_path)
        assert started(sweep_line, tmp_path).wait() == 0
    finally:
        for process in (workers, scheduler):
            if process is not None:
                process.terminate()
                process.wait()
    with Store.open(tmp_path / "SPEC", create=False) as store:
        assert store.members(store.last().number) == 3


def test_the_manifests_are_yaml_whose_workers_reach_the_scheduler() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    found = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(block)}
    service = found["Service", "sweep-scheduler"]["spec"]
    scheduler = found["Deployment", "sweep-scheduler"]["spec"]["template"]
    assert service["selector"].items() <= scheduler["metadata"]["labels"].items()
    (worker,) = found["Deployment", "sweep-workers"]["spec"]["template"]["spec"]["containers"]
    assert f"tcp://sweep-scheduler:{service['ports'][0]['port']}" in worker["args"]


def test_every_option_of_dask_that_is_named_exists() -> None:
    for program, module in MODULES.items():
        shown = subprocess.run(
            [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
        ).stdout
        lines = [line for line in TEXT.replace("\\\n", " ").splitlines() if f"{program} " in line]
        wanted = {option for line in lines for option in re.findall(r" (--[a-z-]+)", line.split(program)[1])}
        assert wanted <= set(re.findall(r"--[a-z-]+", shown)), program


FAKE_SIMULATE = """import pathlib, sys, time
words = sys.argv[1:]
if words[0] == "export":
    pathlib.Path(words[words.index("-o") + 1]).write_text("rows")
    sys.exit(0)
out = pathlib.Path(words[words.index("--out") + 1])
out.mkdir()
assert pathlib.Path(words[words.index("--scheduler") + 1]).is_file()
try:
    pathlib.Path("ready").touch()
    time.sleep(60)
except KeyboardInterrupt:  # not raised in a process that was started with interrupts ignored
    (out / "sweep.sqlite").write_text("kept")
    sys.exit(130)
"""
FAKE_SRUN = """import pathlib, sys
words = sys.argv[1:]
if "scheduler" in words:
    pathlib.Path(words[words.index("--scheduler-file") + 1]).write_text("{}")
"""


def test_the_script_for_slurm_stops_its_client_and_saves_what_is_done(tmp_path: Path) -> None:
    (script,) = (block for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) if "#SBATCH" in block)
    home, programs, scratch = (tmp_path / name for name in ("home", "bin", "scratch"))
    for folder in (home / "venv" / "bin", programs, scratch):
        folder.mkdir(parents=True)
    (home / "venv" / "bin" / "activate").touch()
    for name, code in (("simulate", FAKE_SIMULATE), ("srun", FAKE_SRUN)):
        (programs / name).write_text(f"#!{sys.executable}\n{code}")
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(scratch),
                   "SLURM_JOB_ID": "7", "SLURM_SUBMIT_DIR": str(home)}  # fmt: skip
    job = subprocess.Popen(
        ["bash", "-c", script], cwd=home, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        end = time.monotonic() + START_S
        while not (home / "ready").exists():
            assert time.monotonic() < end
            assert job.poll() is None
            time.sleep(0.02)
        job.send_signal(signal.SIGINT)
        assert job.wait(timeout=START_S / 2) == 0
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    assert (home / "sweep.sqlite").read_text() == "kept"
    assert (home / "sweep.csv").read_text() == "rows"
