"""Files of image sets: found, whole, and never half downloaded."""

import hashlib
import http.server
import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from spectral_lib.data.images import load_images
from spectral_lib.data.sources import SOURCES, find_files

pa = pytest.importorskip("pyarrow")
from PIL import Image
from pyarrow import parquet


def encode(pixels, kind="png"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def pictures(name, count, seed=0):
    source = SOURCES[name]
    shape = (count, source.side, source.side, source.channels)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return pixels if source.channels == 3 else pixels[..., 0]


def table(name, count=4, labels=None, cells=None):
    source = SOURCES[name]
    if cells is None:
        cells = [{"bytes": encode(p), "path": None} for p in pictures(name, count)]
    labels = list(range(len(cells))) if labels is None else labels
    columns = {source.image: cells, source.label: labels}
    if name == "cifar100":
        columns["coarse_label"] = [0] * len(cells)
    return pa.table(columns)


def write(root, name, split="train", what=None, part="00000-of-00001"):
    path = root / name / f"{split}-{part}.parquet"
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(table(name) if what is None else what, path)
    return path


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("SPECTRAL_DATA", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", ["cifar100", "svhn"])
def test_sets_of_32_pixels_in_their_schema(root, name):
    source = SOURCES[name]
    last = source.classes - 1
    for split in ("train", "test"):
        write(root, name, split, table(name, labels=[last, 0, 3, last]))
    images = load_images(name, str(root))
    assert images.train.inputs.shape == (4, 3, 32, 32)
    assert images.test.targets.tolist() == [last, 0, 3, last]
    assert images.classes == source.classes
    found = images.scaling.undo(images.train.inputs)[2, :, 5, 7] * 255
    assert found.numpy() == pytest.approx(pictures(name, 4)[2, 5, 7], abs=1e-3)


def test_missing_files_name_the_three_ways(root, monkeypatch):
    for given in ("", str(root)):
        with pytest.raises(ValueError, match=r"svhn/train-\*\.parquet; set") as raised:
            load_images("svhn", given)
        for way in ("data_root", "SPECTRAL_DATA", "'hub'", "ufldl", "'digits'"):
            assert way in str(raised.value)
    write(root, "svhn")
    monkeypatch.setenv("SPECTRAL_DATA", str(root))
    assert len(find_files("svhn", "train")) == 1
    with pytest.raises(ValueError, match=r"svhn/test-\*"):
        load_images("svhn")


def test_numbered_files_are_read_in_order_and_all_needed(root):
    for n in (1, 0):
        part = f"0000{n}-of-00002"
        write(root, "svhn", "train", table("svhn", 2, [2 * n, 2 * n + 1]), part)
    write(root, "svhn", "test")
    assert load_images("svhn", str(root)).train.targets.tolist() == [0, 1, 2, 3]
    (root / "svhn" / "train-00000-of-00002.parquet").unlink()
    with pytest.raises(ValueError, match="give all the 2 files"):
        load_images("svhn", str(root))


@pytest.mark.parametrize("kept", [0, 3, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(root, kept):
    path = write(root, "cifar10")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else kept])
    with pytest.raises(ValueError, match="not a whole parquet file") as raised:
        load_images("cifar10", str(root))
    assert str(path) in str(raised.value)


def test_altered_file_is_refused_by_its_checksum(root):
    path = write(root, "cifar10")
    write(root, "cifar10", "test")
    digests = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n"
        for p in sorted(path.parent.glob("*.parquet"))
    ]
    sums = path.parent / "SHA256SUMS"
    sums.write_text("".join(digests))
    load_images("cifar10", str(root))
    sums.write_text(digests[0])
    with pytest.raises(ValueError, match="does not list"):
        load_images("cifar10", str(root))
    sums.write_text("nonsense")
    with pytest.raises(ValueError, match="write it with sha256sum"):
        load_images("cifar10", str(root))
    sums.write_text("".join(digests))
    parquet.write_table(table("cifar10", labels=[3, 2, 1, 0]), path)
    with pytest.raises(ValueError, match=r"checksum .* cut off or alt") as raised:
        load_images("cifar10", str(root))
    assert str(path) in str(raised.value)


def test_altered_pages_are_refused_where_they_carry_a_checksum(root):
    path = root / "cifar10" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    parquet.write_table(
        table("cifar10"), path, write_page_checksum=True, compression="none"
    )
    data = bytearray(path.read_bytes())
    at = data.find(b"IDAT") + 500  # within the pixels of an image
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"00001\.parquet is not a whole"):
        load_images("cifar10", str(root))


def test_wrong_schema_is_refused_with_path_and_column(root):
    good = table("cifar10")
    cells = good["img"].to_pylist()
    small = {"bytes": encode(np.zeros((8, 8, 3), np.uint8)), "path": None}
    grey = {"bytes": encode(np.zeros((32, 32), np.uint8)), "path": None}
    half = {"bytes": cells[0]["bytes"][:900], "path": None}
    junk = {"bytes": b"no image", "path": None}
    names = [str(n) for n in range(4)]
    cases = [
        (good.drop_columns("img"), "no column 'img', only"),
        (good.drop_columns("label"), "no column 'label', only"),
        (good.set_column(0, "img", [[b"x"] * 4]), "'img': is binary"),
        (good.set_column(1, "label", [names]), "'label': is string"),
        (table("cifar10", labels=[0, 1, 10, 2]), "'label': a label is 10; give 0 to 9"),
        (table("cifar10", labels=[0, -1, 1, 2]), "'label': a label is -1"),
        (table("cifar10", labels=[0, None, 1, 2]), "'label': a label is None"),
        (table("cifar10", cells=[*cells, None]), "'img', row 4: there is no image"),
        (
            table("cifar10", cells=[*cells, {"bytes": None, "path": "a.png"}]),
            "'img', row 4: there is no image",
        ),
        (table("cifar10", cells=[*cells, small]), r"'img', row 4: is RGB of \(8, 8\)"),
        (table("cifar10", cells=[*cells, grey]), "'img', row 4: is L of"),
        (table("cifar10", cells=[*cells, half]), "'img', row 4: is not a whole image"),
        (table("cifar10", cells=[*cells, junk]), "'img', row 4: is not a whole image"),
        (good.slice(0, 0), "holds no images"),
    ]
    for wrong, message in cases:
        path = write(root, "cifar10", what=wrong)
        with pytest.raises(ValueError, match=message) as raised:
            load_images("cifar10", str(root))
        assert str(path) in str(raised.value)


class Hub(http.server.BaseHTTPRequestHandler):
    """Stands in for the hub; can stall in the middle of a file."""

    def do_HEAD(self):
        self.answer(b"")

    def do_GET(self):
        content = self.server.files.get(self.path.split("?")[0], b"")
        self.server.transfers += 1
        if not self.server.stalls:
            self.answer(content)
            return
        self.answer(content[: len(content) // 2])
        self.wfile.flush()
        self.server.stalled.set()
        self.server.released.wait(60)
        self.close_connection = True

    def answer(self, body):
        content = self.server.files.get(self.path.split("?")[0])
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", self.path.split("/")[5])
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.files, server.stalls, server.transfers = {}, False, 0
    server.stalled, server.released = threading.Event(), threading.Event()
    for name in ("svhn", "cifar10"):
        source = SOURCES[name]
        for split in ("train", "test"):
            file = io.BytesIO()
            parquet.write_table(table(name, 60, [n % 10 for n in range(60)]), file)
            path = f"/datasets/{source.repository}/resolve/{source.revision}/"
            path += f"{source.folder}/{split}-00000-of-00001.parquet"
            server.files[path] = file.getvalue()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


def begin(hub, home, code, offline=False):
    """A process that has nothing but the cache in common with the others."""
    host, port = hub.server_address
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("HF_")},
        "HF_ENDPOINT": f"http://{host}:{port}",
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": str(int(offline)),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "no_proxy": "127.0.0.1",
    }
    start = """
from spectral_lib.data.images import load_images
def load(name):
    try: print(len(load_images(name, "hub").train))
    except ValueError as error: print(str(error).replace(chr(10), " "))
"""
    return subprocess.Popen(
        [sys.executable, "-c", start + code],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(process):
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return out.splitlines()


def test_hub_killed_whole_offline_and_altered(hub, tmp_path):
    pytest.importorskip("huggingface_hub")
    hub.stalls = True
    killed = begin(hub, tmp_path, "load('svhn')")
    assert hub.stalled.wait(60)
    killed.kill()
    killed.communicate()
    hub.stalls = False
    halves = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".incomplete" for path in halves)
    assert not [path for path in halves if path.suffix == ".parquet"]

    whole, other = lines(begin(hub, tmp_path, "load('svhn'); load('cifar10')"))
    assert whole == "60"
    assert f"instead of {SOURCES['cifar10'].sha256['train']}" in other

    transfers = hub.transfers
    (cached,) = tmp_path.rglob(f"*{SOURCES['svhn'].revision}/*/train-*.parquet")
    alter = f"""
load('svhn'); load('cifar100')
from pathlib import Path
blob = Path({str(cached)!r}).resolve()
blob.chmod(0o600)
content = bytearray(blob.read_bytes())
content[len(content) // 2] ^= 1
blob.write_bytes(content)
load('svhn')
"""
    again, missing, altered = lines(begin(hub, tmp_path, alter, offline=True))
    assert again == "60"
    for way in ("did not come", "connect to the netw", "SPECTRAL_DATA", "'digits'"):
        assert way in missing
    assert "cut off or altered; delete it" in altered
    assert str(cached.resolve()) in altered
    assert hub.transfers == transfers
