"""Workers of a Dask scheduler, which get lost, and of a batch system, which refuses."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from threading import Thread

import psutil
import pytest
from tiny import (
    alive,
    below,
    called,
    command,
    events,
    gated,
    printed,
    records,
    running,
    scheduler,
    start,
    until,
    whole,
    worker,
    write_notebook,
    write_sweep,
    write_tiny,
)
from tqdm.auto import tqdm

from spectral_book.readable import InputError, SweepStopped
from spectral_book.sweeps import workers
from spectral_book.sweeps.cli import main
from spectral_book.sweeps.run import run_sweep
from spectral_book.sweeps.work import Settings
from spectral_book.sweeps.workers import batch_workers, connected, load_cluster

processes = pytest.mark.processes

SLURM = {
    "scheduler": "slurm",
    "jobs": 10,
    "cores": 8,
    "processes": 2,
    "memory": "16GB",
    "queue": "gpu",
    "account": "spectra",
    "walltime": "04:00:00",
    "job_extra_directives": ["--gres=gpu:1"],
    "job_script_prologue": ["module load cuda"],
}


def job(tmp_path, **content):
    """Return the lines of the script that a cluster file makes."""
    path = write_sweep(tmp_path / "cluster.yaml", content)
    return load_cluster(path).job().job_script().splitlines()


def test_the_command_shows_the_script_and_ctrl_c_stays_ours(tmp_path, capsys):
    before = signal.getsignal(signal.SIGINT)
    assert main(["job-script", str(write_sweep(tmp_path / "c.yaml", SLURM))]) == 0
    assert signal.getsignal(signal.SIGINT) is before
    lines = capsys.readouterr().out.strip().splitlines()
    for line in (
        "#SBATCH -p gpu",
        "#SBATCH -A spectra",
        "#SBATCH -t 04:00:00",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=15G",
        "#SBATCH --gres=gpu:1",
        "export SPECTRAL_THREADS=4",
        "module load cuda",
    ):
        assert line in lines
    assert lines[-1].startswith(f"{sys.executable} -m distributed.cli.dask_worker ")
    assert "--nworkers 2" in lines[-1]
    # One point at a time in each worker: the last one counts.
    assert lines[-1].endswith("--nthreads 1")


def test_other_batch_systems(tmp_path):
    lines = job(tmp_path, **{**SLURM, "scheduler": "pbs"})
    assert "#PBS -l walltime=04:00:00" in lines
    lines = job(tmp_path, scheduler="sge", cores=1, memory="1GB")
    assert "#$ -N spectral-batch" in lines
    assert "export SPECTRAL_THREADS=1" in lines
    lsf = {"scheduler": "lsf", "cores": 2, "memory": "1GB", "queue": "normal"}
    assert "#BSUB -q normal" in job(tmp_path, **lsf)
    lines = job(tmp_path, scheduler="htcondor", cores=2, memory="1GB", disk="2GB")
    assert "MY.DaskWorkerDisk = 2000000000" in lines


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"wall_time": "1:00"}, "'wall_time'"),
        ({"scheduler": "slrum"}, "scheduler = 'slrum'; use slurm, pbs"),
        ({"processes": 9}, "more processes than cores"),
        ({"jobs": 0}, "jobs = 0"),
        ({"memory": "much"}, "much"),
    ],
)
def test_what_can_be_wrong_with_a_cluster_file(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        job(tmp_path, **{**SLURM, **content})


@processes
def test_a_sweep_is_checked_for_where_it_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    chapter = write_notebook(tmp_path / "a.ipynb", 'device: str = "cuda"')
    file = str(write_sweep(tmp_path / "sweep.yaml", {"chapter": chapter.name}))
    path = write_sweep(tmp_path / "c.yaml", SLURM)
    assert main(["check", file, "--cluster", str(path)]) == 0
    path.write_text("scheduler: slurm\ncores: 8\nmemory: 1GB\nwalltime: 12:00:00\n")
    script = load_cluster(path).job().job_script()
    assert "#SBATCH -t 12:00:00" in script.splitlines()


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


SMALL = {"scheduler": "slurm", "cores": 3, "memory": "1GB", "interface": "lo"}
REFUSING = """#!/bin/sh
echo "sbatch: error: invalid partition specified: gpu" >&2
exit 1
"""
ONCE = """#!/bin/sh
if mkdir "$0.taken"; then echo Submitted batch job 7; exit 0; fi 2> /dev/null
echo "sbatch: error: too many jobs" >&2
exit 1
"""


@processes
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
    cluster = write_sweep(tmp_path / "c.yaml", SMALL)
    environment = batch_system(tmp_path / "bin", sbatch)
    out = tmp_path / "out"
    code, said = command("run", file, out, "--cluster", cluster, env=environment)
    assert code == 2, said
    (line,) = [line for line in said.splitlines() if "refused" in line]
    assert "spectral-batch: sbatch refused a job: " in line
    assert words in line
    assert "Traceback" not in said, said
    assert not (out / "points").exists()


@processes
def test_a_later_refusal_is_said_and_the_sweep_goes_on(tmp_path, monkeypatch, capsys):
    environment = batch_system(tmp_path / "bin", ONCE)
    monkeypatch.setenv("PATH", environment["PATH"])
    path = write_sweep(tmp_path / "c.yaml", {**SMALL, "jobs": 2})
    with batch_workers(load_cluster(path), tmp_path) as cluster, tqdm(total=2):
        cluster.scale(jobs=2)
        until(lambda: len(cluster.workers) == 2)
    lines = re.split("[\r\n]", capsys.readouterr().err)
    assert "sbatch refused a job: sbatch: error: too many jobs" in lines


@processes
def test_a_sweep_through_a_batch_system(tmp_path):
    programs = tmp_path / "bin"
    environment = batch_system(programs, SBATCH)
    look = "import os\nassert os.environ['SPECTRAL_THREADS'] == '3'\n"
    look += "def note(event): pass"
    sweep = {"chapter": write_tiny(tmp_path, work=look).name}
    file = write_sweep(tmp_path / "sweep.yaml", {**sweep, "grid": {"size": [1, 2, 3]}})
    cluster, out = write_sweep(tmp_path / "c.yaml", SMALL), tmp_path / "out"
    code, said = command("run", file, out, "--cluster", cluster, env=environment)
    assert code == 0, said
    assert whole(out, 3)
    assert " tls://" in (programs / "sbatch.job").read_text()
    assert not list(out.glob(".keys-*"))
    submitted = (programs / "sbatch.pids").read_text().split()
    cancelled = (programs / "scancel.pids").read_text().split()
    assert len(submitted) == 1
    assert set(submitted) <= set(cancelled)


def listening(process):
    """Return where a process can be reached."""
    found = process.net_connections("tcp")
    return {c.laddr for c in found if c.status == psutil.CONN_LISTEN}


@processes
def test_nobody_without_the_key_reaches_the_workers_of_a_batch_system(
    tmp_path, monkeypatch
):
    submit = "#!/bin/sh\necho Submitted batch job 7\n"
    environment = batch_system(tmp_path / "bin", submit)
    monkeypatch.setenv("PATH", environment["PATH"])
    monkeypatch.setattr(workers, "_CONNECT_SECONDS", 5)
    path = write_sweep(tmp_path / "c.yaml", SMALL | {"interface": None})
    before = listening(psutil.Process())
    with batch_workers(load_cluster(path), tmp_path) as cluster:
        port = cluster.scheduler.port
        pages = listening(psutil.Process()) - before
        assert {at.ip for at in pages if at.port != port} <= {"127.0.0.1"}
        (folder,) = tmp_path.glob(".keys-*")
        assert folder.stat().st_mode & 0o077 == 0
        address = cluster.scheduler_address
        assert address.startswith("tls://")
        for there in (address, address.replace("tls:", "tcp:")):
            with (
                pytest.raises(SweepStopped, match="no Dask scheduler"),
                connected(there),
            ):
                pytest.fail("a stranger came in")
        with connected(cluster) as client:
            assert client.run_on_scheduler(lambda: 1) == 1


@processes
def test_workers_of_this_machine_listen_to_nobody_else(tmp_path):
    us = psutil.Process()
    before = listening(us)
    with workers.workers(Settings(), tmp_path, 1, [], False) as client:
        client.wait_for_workers(1, timeout=300)
        processes = [us, *us.children(recursive=True)]
        found = set().union(*map(listening, processes)) - before
        assert len(found) >= 3  # the scheduler, the nanny and the worker
        assert {at.ip for at in found} == {"127.0.0.1"}


@processes
def test_a_sweep_survives_a_killed_worker(tmp_path):
    file, log, out = gated(tmp_path, range(1, 5))  # none ends before the gate opens
    with (
        scheduler(tmp_path) as (_, where, address),
        worker(where, "one") as victim,
        worker(where, "two"),
    ):
        process = start("run", file, out, "--scheduler", address)
        until(lambda: len(running(log)) == 2)
        children = below(victim.pid)
        victim.send_signal(signal.SIGKILL)
        until(lambda: not any(map(alive, children)))
        (tmp_path / "gate").touch()
        said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert "4 points: 4 done, 0 failed" in said
    assert whole(out, 4)
    estimates = {
        r["parameters"]["size"]: r["claims"][0]["estimate"]
        for r in records(out).values()
    }
    assert estimates == {size: size * 0.5 for size in range(1, 5)}
    counts = events(log)
    assert {n for (word, _), n in counts.items() if word == "end"} == {1}
    # One point was lost with its worker and started a second time.
    assert sum(n for (word, _), n in counts.items() if word == "start") == 5


@processes
def test_a_lost_scheduler_is_said_and_the_next_call_goes_on(tmp_path):
    file, log, out = gated(tmp_path, [0, 1, 2])
    with scheduler(tmp_path) as (lost, where, address), worker(where, "one"):
        process = start("run", file, out, "--scheduler", address)
        until(lambda: len(records(out)) == 1 and running(log))
        lost.kill()
        said, _ = process.communicate(timeout=400)
        assert process.returncode == 1, said
        assert "the scheduler is gone" in said
        assert "Traceback" not in said, said
        until(lambda: not any(map(alive, running(log))))
    (tmp_path / "gate").touch()
    code, said = called("run", file, out, "--jobs", "1")
    assert code == 0, said
    assert "3 points: 3 done" in said
    assert whole(out, 3)


@processes
@pytest.mark.parametrize("kind", ["nobody", "silent", "http"])
def test_no_scheduler_there(monkeypatch, kind):
    monkeypatch.setattr(workers, "_CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer():
            with other.accept()[0] as peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request")

        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        if kind == "nobody":
            other.close()
        elif kind == "http":
            Thread(target=answer).start()
        with (
            pytest.raises(SweepStopped, match="no Dask scheduler answers at tcp"),
            connected(address),
        ):
            pytest.fail("something answered")


@processes
def test_a_wait_for_workers_is_said_and_none_is_for_a_gpu_that_never_comes(
    tmp_path, capsys
):
    with scheduler(tmp_path) as (_, where, address):
        place = (Settings(scheduler=address), tmp_path, 1, [], True)
        with workers.workers(*place) as client:
            said = capsys.readouterr().err
            assert "no Dask worker is there yet" in said
            assert f"{address} is not encrypted and asks for no key" in said
            with worker(where, "plain"):
                client.wait_for_workers(1, timeout=300)
                with (
                    pytest.raises(InputError, match="none of the 1 workers offers"),
                    workers.workers(*place),
                ):
                    pytest.fail("the point would wait for ever")
        assert "yet" not in capsys.readouterr().err


@pytest.fixture(scope="module")
def two_kinds(tmp_path_factory):
    """A scheduler with two workers, one of which offers a GPU."""
    folder = tmp_path_factory.mktemp("kinds")
    with (
        scheduler(folder) as (_, where, address),
        worker(where, "plain"),
        worker(where, "special", "--resources", "GPU=1"),
    ):
        with connected(address) as client:
            client.wait_for_workers(2, timeout=300)
        yield address


@processes
def test_gpu_points_run_where_a_gpu_is(two_kinds, tmp_path):
    look = "import os\nprint(os.environ['WORKER'])"
    parameters = 'device: str = "cpu"\nsize: int = 0'
    path = write_notebook(tmp_path / "a.ipynb", parameters, look)
    sweep = {"chapter": path, "fixed": {"device": "cuda"}, "grid": {"size": range(2)}}
    out = tmp_path / "out"
    run_sweep(sweep, out, scheduler=two_kinds)
    assert whole(out, 2)
    assert {printed(p) for p in out.glob("points/*.ipynb")} == {"special\n"}


@processes
def test_an_interruption_ends_what_this_sweep_runs_on_workers(two_kinds, tmp_path):
    """A sweep is interrupted while another runs beside it on the other worker."""
    ours, our_log, our_out = gated(tmp_path / "ours", [1, 2])
    beside, log, out = gated(tmp_path / "beside", [1, 2])
    other = start("run", beside, out, "--scheduler", two_kinds)
    until(lambda: running(log))
    process = start("run", ours, our_out, "--scheduler", two_kinds)
    (tmp_path / "beside/gate").touch()
    until(lambda: running(our_log))
    kernels = running(our_log)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 130, said
    assert "Traceback" not in said, said
    until(lambda: not any(map(alive, kernels)))
    said, _ = other.communicate(timeout=400)
    assert other.returncode == 0, said
    assert whole(out, 2)
    # The same workers take the next sweep.
    (tmp_path / "ours/gate").touch()
    code, said = called("run", ours, our_out, "--scheduler", two_kinds)
    assert code == 0, said
    assert whole(our_out, 2)
