"""Images of files: named sets as they are, and sets of one's own of any kind."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
import torch

pa = pytest.importorskip("pyarrow")
from image_sets import encode, pictures, table, write
from PIL import Image
from pyarrow import parquet

from spectral_lib.data.decoding import Scaling
from spectral_lib.data.images import load_images
from spectral_lib.data.sources import SOURCES, DataError


def cell(content):
    return {"bytes": content, "path": None}


@pytest.mark.parametrize(
    ("name", "mean", "deviation"),
    [("cifar10", 0.487, 0.256), ("cifar100", 0.487, 0.256), ("svhn", 0.444, 0.201)],
)
def test_parquet_in_colour(tmp_path, name, mean, deviation):
    last = SOURCES[name].classes - 1
    write(tmp_path, name, "train")
    write(tmp_path, name, "test", table(name, 4, labels=[last, 0, 3, last]))
    images = load_images(name, str(tmp_path))
    assert images.train.inputs.shape == (last + 1, 3, 32, 32)
    assert images.test.targets.tolist() == [last, 0, 3, last]
    assert images.classes == last + 1
    wanted = (pictures(name, 4)[2, 5, 7, 1] / 255 - mean) / deviation
    assert images.test.inputs[2, 1, 5, 7].item() == pytest.approx(wanted, abs=1e-5)


def test_parquet_in_grey_is_padded(tmp_path):
    white = [cell(encode(np.full((28, 28), 255, np.uint8)))] * 10
    for split in ("train", "test"):
        write(tmp_path, "fashion_mnist", split, table("fashion_mnist", cells=white))
    found = load_images("fashion_mnist", str(tmp_path)).train.inputs
    assert found.shape == (10, 1, 32, 32)
    assert (found[0, 0] != 0).sum() == 28 * 28
    assert found[0, 0, 16, 16].item() == pytest.approx((1 - 0.286) / 0.353)


def test_part_of_a_set_keeps_the_order_of_the_file(tmp_path):
    grey = [cell(encode(np.full((28, 28), n, np.uint8))) for n in range(30)]
    what = table("fashion_mnist", labels=[n % 10 for n in range(30)], cells=grey)
    for split in ("train", "test"):
        write(tmp_path, "fashion_mnist", split, what)
    part = load_images(
        "fashion_mnist", str(tmp_path), size=20, side=14, scaling=Scaling()
    )
    assert part.train.inputs.shape == (20, 1, 14, 14)
    assert part.test.inputs.shape == (30, 1, 14, 14)
    assert part.train.targets.bincount().tolist() == [2] * 10
    rows = (part.train.inputs[:, 0, 0, 0] * 255).round().int().tolist()
    assert rows == sorted(rows)
    assert [row % 10 for row in rows] == part.train.targets.tolist()


def png_header(width, height):
    """A PNG that says how large it is and then ends."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(chunk))
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + crc
    return start + struct.pack(">I", 1) + b"IDAT"


NUMBERS = np.zeros((32, 32, 3), np.uint8)
WHOLE = encode(pictures("cifar10", 1)[0])
OTHER_CELLS = {
    "small": (cell(encode(NUMBERS[:8, :8])), r"is RGB of \(8, 8\)"),
    "grey": (cell(encode(NUMBERS[..., 0])), r"is L of \(32, 32\) pixels; give RGB"),
    "half": (cell(WHOLE[:900]), "is not a whole image"),
    "junk": (cell(b"no image"), "is not a whole image"),
    "path": ({"bytes": None, "path": "a.png"}, "there is no image"),
    # Refused by the header: nothing of what would follow is there.
    "huge": (cell(png_header(9000, 9000)), r"is RGB of \(9000, 9000\) pixels; give"),
    "a bomb": (cell(png_header(10000, 10000)), "is not a whole image .*exceeds limit"),
}


@pytest.mark.parametrize("name", OTHER_CELLS)
def test_image_that_is_not_as_the_set_says(tmp_path, name):
    last, message = OTHER_CELLS[name]
    cells = [*table("cifar10")["img"].to_pylist(), last]
    path = write(
        tmp_path, "cifar10", what=table("cifar10", labels=[*range(10), 0], cells=cells)
    )
    with pytest.raises(DataError, match=f"column 'img', row 10: {message}") as raised:
        load_images("cifar10", str(tmp_path))
    assert str(path) in str(raised.value)


def with_labels(labels):
    return table("cifar10", labels=labels)


def with_images(values):
    return table("cifar10").set_column(0, "img", pa.array(values))


def declaring(names):
    """What `datasets` writes beside the columns."""
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    info = json.dumps({"info": {"features": features}})
    return table("cifar10").replace_schema_metadata({"huggingface": info})


OTHER_TABLES = {
    "no image": (lambda: table("cifar10").drop_columns("img"), "no column 'img', only"),
    "no label": (lambda: table("cifar10").drop_columns("label"), "no column 'label'"),
    "text": (lambda: with_labels(list("abcdefghij")), "'label': is string"),
    "large": (lambda: with_labels([*range(9), 10]), "'label': a label is 10; .* to 9"),
    "below": (lambda: with_labels([*range(9), -1]), "'label': a label is -1"),
    "none": (lambda: with_labels([*range(9), None]), "'label': a label is None"),
    "rows": (lambda: table("cifar10").slice(0, 0), "holds no images"),
    "lists": (lambda: with_images([list(WHOLE)] * 10), "'img': is list<.*not as lists"),
    "lists within": (
        lambda: with_images([{"bytes": list(WHOLE)}] * 10),
        "'img': is list<.*give encoded images",
    ),
    "three": (
        lambda: with_labels([0, 1, 2, 0, 1, 2, 0, 1, 2, 0]),
        "holds 3 classes, from 0 to 2, and cifar10 has 10",
    ),
    "three declared": (
        lambda: declaring(["cat", "dog", "bird"]),
        r"'label': declares 3 classes \(cat, dog, bird\) and the set has 10",
    ),
}


@pytest.mark.parametrize("name", OTHER_TABLES)
def test_wrong_schema_is_refused_with_path_and_column(tmp_path, name):
    what, message = OTHER_TABLES[name]
    path = write(tmp_path, "cifar10", what=what())
    with pytest.raises(DataError, match=message) as raised:
        load_images("cifar10", str(tmp_path))
    assert str(path) in str(raised.value)


# --- sets of one's own


def noise(count, *shape, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, *shape), dtype=np.uint8)


def own(root, encoded, labels=None, split="train", image="image", label="fine_label"):
    """A split of a folder, three classes in turn unless said otherwise."""
    labels = [n % 3 for n in range(len(encoded))] if labels is None else labels
    path = root / f"{split}-0.parquet"
    parquet.write_table(pa.table({image: encoded, label: labels}), path)
    return path


def stream(path, what, rows=2):
    """As `datasets` writes a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, what.schema) as to:
        to.write_table(what, rows)


def test_grey_set_with_a_validation_set(tmp_path):
    train, test = noise(12, 64, 64), noise(6, 64, 64, seed=1)
    own(tmp_path, [cell(encode(p)) for p in train])
    own(tmp_path, [encode(p) for p in test], split="validation")  # plain bytes
    images = load_images("folder", str(tmp_path))
    assert (images.classes, images.channels, images.side) == (3, 1, 64)
    assert images.test.targets.tolist() == [0, 1, 2, 0, 1, 2]
    pixels = train / 255
    wanted = (test[5] / 255 - pixels.mean()) / pixels.std()
    assert images.test.inputs[5, 0].numpy() == pytest.approx(wanted, abs=1e-5)
    plain = load_images("folder", str(tmp_path), size=6, scaling=Scaling())
    assert plain.train.targets.bincount().tolist() == [2, 2, 2]
    assert torch.equal(plain.test.inputs[:, 0], torch.from_numpy(test / 255).float())


def test_saved_to_disk(tmp_path):
    pixels = noise(12, 9, 9, 3)
    what = pa.table(
        {"img": [cell(encode(p)) for p in pixels], "label": [n % 4 for n in range(12)]}
    )
    for split, parts in (("train", 3), ("test", 1)):
        names = [f"data-{n:05}-of-{parts:05}.arrow" for n in range(parts)]
        rows = 12 // parts
        for n, name in enumerate(names):
            stream(tmp_path / split / name, what.slice(n * rows, rows))
        stream(tmp_path / split / "cache-1c80317fa3b1799d.arrow", what)
        state = {"_data_files": [{"filename": name} for name in reversed(names)]}
        (tmp_path / split / "state.json").write_text(json.dumps(state))
    images = load_images("folder", str(tmp_path), scaling=Scaling())
    assert (images.classes, images.channels, images.side) == (4, 3, 9)
    wanted = torch.from_numpy(pixels / 255).float().permute(0, 3, 1, 2)
    assert torch.equal(images.train.inputs, wanted)
    assert torch.equal(images.test.inputs, wanted)

    path = tmp_path / "train" / "data-00001-of-00003.arrow"
    content = path.read_bytes()
    for size in (0, 7, 100, len(content) // 2, len(content) - 8):  # 8: whole batches
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=f"{path} is not a whole arrow file"):
            load_images("folder", str(tmp_path))
    path.unlink()
    with pytest.raises(DataError, match=f"{path} is not a whole arrow file"):
        load_images("folder", str(tmp_path))
    rows = {"_data_files": [{"filename": path.name}], "_indices_data_files": ["i"]}
    wrong = ["{", "[]", '{"_data_files": []}', '{"_data_files": [1]}', json.dumps(rows)]
    for state in wrong:
        (tmp_path / "train" / "state.json").write_text(state)
        with pytest.raises(DataError, match=r"train/state\.json .*save_to_disk"):
            load_images("folder", str(tmp_path))


def test_any_size_is_cut_to_a_square_and_resized(tmp_path):
    wide, tall = noise(1, 20, 44, 3)[0], noise(1, 36, 20, 3, seed=1)[0]
    grey = np.full((70, 50), 77, np.uint8)
    path = own(tmp_path, [encode(p) for p in (wide, tall, grey)])
    own(tmp_path, [encode(grey)], [2], "test")
    found = load_images("folder", str(tmp_path), side=10, scaling=Scaling())
    assert found.train.inputs.shape == (3, 3, 10, 10)
    # The middle, halved with the antialiased weights 1/8, 3/8, 3/8, 1/8.
    weights = np.array([1, 3, 3, 1]) / 8
    for n, square in ((0, wide[:, 12:32]), (1, tall[8:28])):
        rows = np.einsum("i,ijc->jc", weights, square[5:9].astype(float))
        wanted = np.einsum("j,jc->c", weights, rows[7:11])
        pixel = found.train.inputs[n, :, 3, 4] * 255
        assert pixel.numpy() == pytest.approx(wanted, abs=1.01)  # rounded twice
    assert (found.test.inputs * 255).unique().tolist() == pytest.approx([77])
    with pytest.raises(DataError, match=r"of \(44, 20\) pixels.*or a side") as raised:
        load_images("folder", str(tmp_path))
    assert f"{path}, column 'image', row 0" in str(raised.value)


def test_orientation_of_a_camera_is_followed(tmp_path):
    picture = noise(1, 16, 16, 3)[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by a quarter
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png", exif=exif)
    for split in ("train", "test"):
        own(tmp_path, [file.getvalue()], split=split)
    found = load_images("folder", str(tmp_path), scaling=Scaling()).test.inputs[0]
    wanted = torch.from_numpy(np.rot90(picture, -1) / 255).float().permute(2, 0, 1)
    assert torch.equal(found, wanted)


def mode(name, **info):
    file = io.BytesIO()
    Image.fromarray(noise(1, 8, 8)[0]).convert(name).save(file, "png", **info)
    return file.getvalue()


OTHER_SETS = {
    "a gap": ([mode("L")] * 3, [0, 1, 3], "3 classes, from 0 to 3, and folder has 4"),
    "from one on": ([mode("L")] * 3, [1, 2, 3], "3 classes, from 1 to 3, and folder"),
    "transparent": ([mode("RGBA")], [0], r"row 0: is RGBA of \(8, 8\) pixels; give"),
    "transparent grey": (
        [mode("L", transparency=7)],
        [0],
        "row 0: is L with transparency of",
    ),
    "16 bits": ([mode("I;16")], [0], "row 0: is I;16 of"),
    "one colour": ([encode(np.zeros((8, 8), np.uint8))], [0], "has one value in all"),
    "no images": ([], [], "is null; give integer labels"),
    "colour later": ([mode("L"), mode("RGB")], [0, 1], "column 'image', row 2: is RGB"),
}


@pytest.mark.parametrize("name", OTHER_SETS)
def test_set_of_ones_own_that_would_be_wrong(tmp_path, name):
    encoded, labels, message = OTHER_SETS[name]
    path = own(tmp_path, encoded, labels)
    own(tmp_path, encoded, labels, "test")
    if name == "colour later":  # in the test set alone, of a grey training set
        own(tmp_path, encoded[:1] * 2, labels)
        path = own(tmp_path, [*encoded[:1] * 2, encoded[1]], [0, 1, 0], "test")
    with pytest.raises(DataError, match=message) as raised:
        load_images("folder", str(tmp_path))
    assert str(path) in str(raised.value)


def test_columns_and_classes_of_the_test_set(tmp_path):
    encoded = [encode(p) for p in noise(3, 8, 8)]
    path = own(tmp_path, encoded, image="picture")
    with pytest.raises(DataError, match=r"has the columns .*'picture'.*name one") as r:
        load_images("folder", str(tmp_path))
    assert str(path) in str(r.value)
    own(tmp_path, encoded)
    path = own(tmp_path, encoded, [0, 1, 3], "test")
    with pytest.raises(DataError, match=f"{path}.*a label is 3; give 0 to 2"):
        load_images("folder", str(tmp_path))


def test_a_refusal_is_one_sentence_in_jupyter():
    assert DataError("a is b; give c.")._render_traceback_() == [
        "DataError: a is b; give c."
    ]
