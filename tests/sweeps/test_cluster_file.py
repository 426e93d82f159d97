"""Cluster files, the job scripts they make, and the places of points."""

from __future__ import annotations

import os
import sys

import pytest
from tiny import command, until, whole, write_notebook, write_sweep, write_tiny

from spectral_book.sweeps.cli import main
from spectral_book.sweeps.cluster import job_script, load_cluster, started
from spectral_book.sweeps.engines import plan_local
from spectral_book.sweeps.errors import SweepError

pytest.importorskip("dask_jobqueue")

SLURM = {
    "scheduler": "slurm",
    "jobs": 10,
    "cores": 8,
    "memory": "16GB",
    "points": 2,
    "gpus": 1,
    "queue": "gpu",
    "account": "spectra",
    "walltime": "04:00:00",
    "directives": ["--constraint=a100"],
    "prologue": ["module load cuda"],
}


def script(tmp_path, **content):
    path = write_sweep(tmp_path / "cluster.yaml", {**SLURM, **content})
    return job_script(load_cluster(path), "tcp://10.0.0.1:8786").splitlines()


def test_a_batch_system_that_is_not_here_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for scheduler, wanted in (("slurm", "'sbatch'"), ("pbs", "'qsub'")):
        content = {**SLURM, "scheduler": scheduler, "account": None}
        path = write_sweep(tmp_path / "cluster.yaml", content)
        with pytest.raises(SweepError, match=f"no command {wanted} here"):
            started(load_cluster(path)).__enter__()


def test_slurm(tmp_path):
    lines = script(tmp_path)
    assert lines[0] == "#!/usr/bin/env bash"
    for line in (
        "#SBATCH -p gpu",
        "#SBATCH -A spectra",
        "#SBATCH -t 04:00:00",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=15G",
        "#SBATCH --gres=gpu:1",
        "#SBATCH --constraint=a100",
        "export SPECTRAL_THREADS=4",
        "export OMP_NUM_THREADS=4",
        "module load cuda",
    ):
        assert line in lines
    worker = lines[-1]
    assert worker.startswith(f"{sys.executable} -m distributed.cli.dask_worker ")
    assert "tcp://10.0.0.1:8786" in worker
    assert "--nworkers 2" in worker
    # One point at a time in each worker.
    assert worker.count("--nthreads") == worker.count("--nthreads 1 ") == 1
    assert worker.endswith("--resources GPU=1")


def test_pbs_and_sge(tmp_path):
    lines = script(tmp_path, scheduler="pbs", directives=[])
    assert "#PBS -l select=1:ncpus=8:mem=16GB:ngpus=1" in lines
    assert "#PBS -l walltime=04:00:00" in lines
    assert "#PBS -A spectra" in lines
    lines = script(tmp_path, scheduler="sge", directives=["-pe smp 8"], gpus=0)
    assert "#$ -P spectra" in lines
    assert "#$ -pe smp 8" in lines
    assert "#$ -l h_rt=04:00:00" in lines
    assert not any("gpu=1" in line or "GPU" in line for line in lines)


def test_the_command_shows_the_script(tmp_path):
    code, said = command("job-script", write_sweep(tmp_path / "c.yaml", SLURM))
    assert code == 0
    assert "#SBATCH --gres=gpu:1" in said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"wall_time": "1:00"}, "'wall_time': did you mean 'walltime'"),
        ({"scheduler": "slrum"}, "'slurm', 'pbs' or 'sge'"),
        ({"cores": "8"}, "cores = '8'"),
        ({"points": 9}, "9 points need more than 8 cores"),
        ({"gpus": 4}, "gpus = 4"),
    ],
)
def test_what_can_be_wrong_with_a_cluster_file(tmp_path, content, words):
    with pytest.raises(SweepError, match=words):
        script(tmp_path, **content)


def test_gpu_points_need_jobs_with_a_gpu(tmp_path):
    path = write_sweep(tmp_path / "cluster.yaml", {**SLURM, "gpus": 0})
    with pytest.raises(SweepError, match="add gpus: 1"):
        load_cluster(path, needs_gpu=True)


def test_a_sweep_is_checked_for_the_place_where_it_runs(tmp_path, capsys):
    chapter = write_notebook(tmp_path / "a.ipynb", 'device: str = "cuda"')
    file = str(write_sweep(tmp_path / "sweep.yaml", {"chapter": chapter.name}))
    for gpus, expected in ((0, 2), (1, 0)):
        path = write_sweep(tmp_path / "c.yaml", {**SLURM, "gpus": gpus})
        assert main(["check", file, "--cluster", str(path)]) == expected
    assert "asks for no GPU" in capsys.readouterr().err
    assert main(["check", file, "--scheduler", "x", "--cluster", str(path)]) == 2


SBATCH = """#!/bin/sh
# Stands for Slurm: runs a copy of the job's script here.
cp "$1" "$0.job"
sh "$0.job" > "$0.log" 2>&1 &
echo $! >> "$0.pids"
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
for pid in "$@"; do echo "$pid" >> "$0.pids"; pkill -P "$pid"; kill "$pid"; done
exit 0
"""


def batch_system(folder, sbatch):
    """Write the commands of a batch system, and return an environment with them."""
    folder.mkdir()
    for name, text in (("sbatch", sbatch), ("scancel", SCANCEL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


SMALL = {"scheduler": "slurm", "jobs": 1, "cores": 3, "memory": "1GB"}
REFUSING = """#!/bin/sh
echo "sbatch: error: invalid partition specified: gpu" >&2
exit 1
"""
ONCE = """#!/bin/sh
if mkdir "$0.taken"; then echo Submitted batch job 7; exit 0; fi 2> /dev/null
echo "sbatch: error: too many jobs" >&2
exit 1
"""


@pytest.mark.parametrize(
    ("sbatch", "words"),
    [
        (REFUSING, "sbatch: error: invalid partition"),
        ("#!/no/such/shell\n", "No such file"),
        ("#!/bin/sh\necho done\n", "Could not parse job id"),
    ],
)
def test_a_job_that_the_batch_system_refuses_ends_the_sweep(tmp_path, sbatch, words):
    file = write_sweep(tmp_path / "sweep.yaml", {"chapter": write_tiny(tmp_path).name})
    cluster = write_sweep(tmp_path / "c.yaml", {**SMALL, "interface": "lo"})
    environment = batch_system(tmp_path / "bin", sbatch)
    out = tmp_path / "out"
    code, said = command("run", file, out, "--cluster", cluster, env=environment)
    assert code == 2, said
    (line,) = [line for line in said.splitlines() if "refused" in line]
    assert "refused the first job: " in line
    assert words in line
    assert "Traceback" not in said, said
    assert not (out / "points").exists()


def test_a_later_refusal_is_told_and_the_sweep_goes_on(tmp_path, monkeypatch, capsys):
    environment = batch_system(tmp_path / "bin", ONCE)
    monkeypatch.setenv("PATH", environment["PATH"])
    path = write_sweep(tmp_path / "c.yaml", {**SMALL, "jobs": 2, "interface": "lo"})
    with started(load_cluster(path)) as cluster:
        cluster.scale(jobs=2)
        until(lambda: len(cluster.workers) == 2)
    assert (
        "sbatch refused a job: sbatch: error: too many jobs" in capsys.readouterr().err
    )


def test_a_sweep_through_a_batch_system(tmp_path):
    programs = tmp_path / "bin"
    environment = batch_system(programs, SBATCH)
    work = "import os\nassert os.environ['SPECTRAL_THREADS'] == '3'\n"
    work += "def note(event): pass"
    sweep = {"chapter": write_tiny(tmp_path, work=work).name}
    file = write_sweep(tmp_path / "sweep.yaml", {**sweep, "grid": {"size": [1, 2, 3]}})
    cluster = write_sweep(tmp_path / "c.yaml", {**SMALL, "interface": "lo"})
    out = tmp_path / "out"
    code, said = command("run", file, out, "--cluster", cluster, env=environment)
    assert code == 0, said
    assert whole(out, 3)
    submitted = (programs / "sbatch.pids").read_text().split()
    cancelled = (programs / "scancel.pids").read_text().split()
    assert len(submitted) == 1
    assert set(submitted) <= set(cancelled)


def devices(tmp_path, *names):
    for name in ("null", "nvidiactl", "nvidia-uvm", *names):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "environ", "expected"),
    [
        ({"jobs": 0, "threads": 1, "needs_gpu": False}, {}, (16, ())),
        ({"jobs": 0, "threads": 6, "needs_gpu": False}, {}, (2, ())),
        ({"jobs": 0, "threads": 99, "needs_gpu": False}, {}, (1, ())),
        ({"jobs": 3, "threads": 1, "needs_gpu": False}, {}, (3, ())),
        ({"jobs": 0, "threads": 1, "needs_gpu": True}, {}, (3, ("0", "2", "10"))),
        ({"jobs": 8, "threads": 1, "needs_gpu": True}, {}, (8, ("0", "2", "10"))),
        (
            {"jobs": 0, "threads": 1, "needs_gpu": True},
            {"CUDA_VISIBLE_DEVICES": "5,7"},
            (2, ("5", "7")),
        ),
    ],
)
def test_how_many_points_run_at_once(tmp_path, asked, environ, expected):
    where = devices(tmp_path, "nvidia0", "nvidia2", "nvidia10")
    plan = plan_local(16, **asked, environ=environ, devices=where)
    assert (plan.jobs, plan.gpus) == expected


def test_gpu_points_need_a_gpu(tmp_path):
    settings = {"jobs": 0, "threads": 1, "needs_gpu": True}
    with pytest.raises(SweepError, match="shows no GPU"):
        plan_local(4, **settings, environ={}, devices=devices(tmp_path))
    with pytest.raises(SweepError, match="shows no GPU"):
        plan_local(4, **settings, environ={"CUDA_VISIBLE_DEVICES": ""})
