"""Files of image sets: found, whole, and never half downloaded."""

import hashlib
import http.server
import io
import os
import subprocess
import sys
import threading

import pytest

from spectral_lib.data.images import load_images
from spectral_lib.data.sources import SOURCES, DataError, find_files

pytest.importorskip("pyarrow")
from image_sets import table, write
from pyarrow import parquet


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("SPECTRAL_DATA", raising=False)
    return tmp_path


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


HASHES = "86d9d1a2a5c5a7f7", "05d4f8d7f6d5c2ae"
PARTS = {
    "numbers of the hub": ["00000-of-00002", "00001-of-00002"],
    "with hashes": [f"0000{n}-of-00002-{h}" for n, h in enumerate(HASHES)],
    "twelve": [str(n) for n in range(12)],
    "from one on": ["1", "2", "3"],
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_numbered_files_are_read_in_order_and_all_needed(root, parts):
    paths = [write(root, "svhn", part=part) for part in parts]
    assert find_files("svhn", "train", str(root)) == paths
    paths[-2].unlink()
    with pytest.raises(DataError, match=r"svhn holds svhn/train-.*give all .*files of"):
        find_files("svhn", "train", str(root))


@pytest.mark.parametrize(
    "parts",
    [
        ["00000-of-00002-" + HASHES[0]],
        [f"{part}-{h}" for part in PARTS["numbers of the hub"] for h in HASHES],
        [*PARTS["numbers of the hub"], "00000-of-00001"],
        [*PARTS["numbers of the hub"], "2"],
        ["0", "00"],
        ["2", "3"],
        ["0", "all"],
    ],
)
def test_part_of_a_set_and_two_sets_are_refused(root, parts):
    for part in parts:
        write(root, "svhn", "train", part=part)
    with pytest.raises(DataError, match="files of one set and no other") as raised:
        find_files("svhn", "train", str(root))
    assert f"{root / 'svhn'} holds svhn/train-{min(parts)}" in str(raised.value)


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_split_is_the_last_word_of_a_path_that_names_one(root):
    train, late = "test_data/my-training.parquet", "test_data/valid/0000.parquet"
    touch(root, train, late, "notes.parquet", "latest.arrow", "train/notes.txt")
    found = [find_files("folder", split, str(root)) for split in ("train", "test")]
    assert found == [[root / train], [root / late]]
    touch(root, "test.parquet")  # goes before a validation set
    assert find_files("folder", "test", str(root)) == [root / "test.parquet"]
    (root / train).unlink()
    for given in (str(root), "", "hub"):
        with pytest.raises(DataError, match="no parquet or arrow files of a train set"):
            find_files("folder", "train", given)


@pytest.mark.parametrize("other", ["b/train-1.parquet", "a/train-1.arrow"])
def test_two_folders_or_kinds_of_files_are_two_sets(root, other):
    touch(root, "a/train-0.parquet", other)
    with pytest.raises(DataError, match="files of one set and no other"):
        find_files("folder", "train", str(root))


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
    for nonsense in (b"nonsense", "".join(digests).encode("utf-16")):
        sums.write_bytes(nonsense)
        with pytest.raises(DataError, match="write it with sha256sum") as raised:
            load_images("cifar10", str(root))
        assert str(sums) in str(raised.value)
    sums.write_bytes(b"\xef\xbb\xbf" + "".join(digests).encode())  # PowerShell's UTF-8
    load_images("cifar10", str(root))
    sums.write_text("".join(digests) + f"{64 * '0'}  train-00000-of-00002.parquet\n")
    with pytest.raises(DataError, match=r"lists .*of-00002\.parquet, which is missing"):
        load_images("cifar10", str(root))
    sums.write_text("".join(digests))
    parquet.write_table(table("cifar10", labels=list(range(9, -1, -1))), path)
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
