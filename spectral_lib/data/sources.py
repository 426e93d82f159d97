"""Where the parquet files of an image set are, and whether they are whole.

Files follow the Hugging Face hub's schema: a column of encoded images, one of labels.
They come from a folder, or from the hub if that is asked for by name; nothing is ever
downloaded otherwise. The hub's own client keeps the download in its cache (set by
HF_HOME), works without a network once it is there (HF_HUB_OFFLINE=1), and moves a file
to its name only when all of it has come.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

HUB = "hub"
"""The data root that stands for the Hugging Face hub."""

SETTING = "SPECTRAL_DATA"
"""The environment variable that says where data are if a chapter does not."""


class DataError(ValueError):
    """Data cannot be had, or are not what they should be."""

    def _render_traceback_(self) -> list[str]:
        """Show the sentence alone in Jupyter; the traceback would bury it."""
        return [f"DataError: {self}"]


@dataclass(frozen=True)
class Source:
    """What the files of one image set hold.

    Attributes
    ----------
    repository, revision, folder
        Data set on the hub, its commit, and the folder of the files in it.
    image, label
        Names of the two columns.
    classes, channels, side
        Labels are 0 to classes - 1; images have equal sides, in pixels.
    sha256
        Checksum of the hub's file of a split, where it is known. For the others the
        checksum is the one the hub stated at the download.
    """

    repository: str
    revision: str
    folder: str
    image: str
    label: str = "label"
    classes: int = 10
    channels: int = 3
    side: int = 32
    sha256: Mapping[str, str] = field(default_factory=dict)


SOURCES: Mapping[str, Source] = {
    "fashion_mnist": Source(
        "zalando-datasets/fashion_mnist",
        "531be5e2ccc9dba0c201ad3ae567a4f3d16ecdd2",
        "fashion_mnist",
        "image",
        channels=1,
        side=28,
    ),
    "cifar10": Source(
        "uoft-cs/cifar10",
        "0b2714987fa478483af9968de7c934580d0bb9a2",
        "plain_text",
        "img",
        sha256={
            "train": "8428b53a88a11ac374111006708df51469e315a22ac6d66470afd9c78d2ae883",
            "test": "841389e6f2d64f28bf17310e430aebac20ec3ba611a3c5e231dc93c645ce84de",
        },
    ),
    "cifar100": Source(
        "uoft-cs/cifar100",
        "aadb3af77e9048adbea6b47c21a81e47dd092ae5",
        "cifar100",
        "img",
        "fine_label",
        classes=100,
        sha256={
            "train": "694865d6b990e234804f01268586c41e88bcbbb75e20858432c05ad4081aca23",
            "test": "98776c529bb146a9c791229df74a5cf076be9b43d82dbbd334b6a7788d73dc68",
        },
    ),
    "svhn": Source(
        "ufldl-stanford/svhn",
        "f9e1717d73324ebbc1ece84267ccd80d0aca0690",
        "cropped_digits",
        "image",
    ),
}


def find_files(name: str, split: str, root: str = "") -> list[Path]:
    """Files of a split ("train" or "test") in the order of their numbers, verified.

    ``root`` is a folder that holds ``name/split-*.parquet``, or "hub" for the Hugging
    Face hub; if it is empty the environment variable SPECTRAL_DATA says which. Files
    of a folder are checked against ``SHA256SUMS`` beside them, where there is one
    (``sha256sum *.parquet > SHA256SUMS`` makes it), those of the hub always.

    Raises
    ------
    ValueError
        If there are no files, some of a numbered set are missing, or a checksum is
        wrong.
    """
    root = root or os.environ.get(SETTING, "")
    if root == HUB:
        return [_from_hub(name, split)]
    folder = Path(root or "<data_root>", name).expanduser()
    folder = folder.absolute() if root else folder
    paths = sorted(folder.glob(f"{split}-*.parquet")) if root else []
    if not paths:
        raise DataError(
            f"there is no {folder}/{split}-*.parquet; set data_root (or the "
            "environment variable SPECTRAL_DATA) to the folder that holds it, or to "
            f"'{HUB}' to download {SOURCES[name].repository} from the Hugging Face "
            "hub, or use the data 'digits'."
        )
    _check_numbers(paths)
    sums = folder / "SHA256SUMS"
    if sums.exists():
        wanted = _read_sums(sums)
        for path in paths:
            if path.name not in wanted:
                raise DataError(f"{sums} does not list {path}; add its checksum.")
            _check_sum(path, wanted[path.name], "replace the file by a whole copy")
    return paths


def read_file(path: Path, source: Source) -> tuple[list[bytes], Tensor]:
    """Encoded images and labels [examples] of a parquet file.

    Raises
    ------
    ValueError
        If the file is cut off or altered, or its columns are not those of the source.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(
            f"{path} needs the package pyarrow; install it, or use the data 'digits'."
        ) from None
    columns = [source.image, source.label]
    try:
        schema = parquet.read_schema(path)
        missing = [column for column in columns if column not in schema.names]
        if not missing:
            table = parquet.read_table(
                path,
                columns=columns,
                partitioning=None,
                page_checksum_verification=True,
            )
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not a whole parquet file ({error}); replace it."
        ) from error
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]!r}, only {schema.names}; give files in "
            f"the schema of {source.repository}."
        )
    images, labels = schema.field(source.image).type, schema.field(source.label).type
    if not (pa.types.is_struct(images) and images.get_field_index("bytes") >= 0):
        raise DataError(
            f"{path}, column {source.image!r}: is {images}; give encoded images as a "
            "structure with the field 'bytes'."
        )
    if not pa.types.is_integer(labels):
        raise DataError(
            f"{path}, column {source.label!r}: is {labels}; give integer labels."
        )
    encoded = [cell and cell["bytes"] for cell in table[source.image].to_pylist()]
    if None in encoded:
        raise DataError(
            f"{path}, column {source.image!r}, row {encoded.index(None)}: there is no "
            "image; give its bytes."
        )
    allowed = range(source.classes)
    values = table[source.label].to_pylist()
    wrong = [label for label in values if label not in allowed]
    if wrong:
        raise DataError(
            f"{path}, column {source.label!r}: a label is {wrong[0]}; give 0 to "
            f"{source.classes - 1}."
        )
    return encoded, torch.tensor(values, dtype=torch.long)


def _from_hub(name: str, split: str) -> Path:
    source = SOURCES[name]
    file = f"{source.folder}/{split}-00000-of-00001.parquet"
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise DataError(
            f"{name} from the hub needs the package huggingface_hub; install it, or "
            "set data_root to a folder that holds the files, or use the data 'digits'."
        ) from None
    try:
        path = Path(
            hf_hub_download(
                source.repository,
                file,
                repo_type="dataset",
                revision=source.revision,
            )
        )
    except Exception as error:  # its errors, and those of the network, share no class
        raise DataError(
            f"{file} of {source.repository} did not come from the Hugging Face hub "
            f"({type(error).__name__}: {error}); connect to the network once and load "
            "it again, or set data_root (or the environment variable SPECTRAL_DATA) to "
            f"a folder that holds {name}/{split}-*.parquet, or use the data 'digits'."
        ) from None
    # The cache names the content of a large file by its sha256, as the hub states it.
    blob = path.resolve().name
    stated = blob if re.fullmatch("[0-9a-f]{64}", blob) else None
    wanted = source.sha256.get(split, stated)
    if wanted is not None:
        _check_sum(path.resolve(), wanted, "delete it and load it again")
    return path


def _check_numbers(paths: list[Path]) -> None:
    """Refuse a set of files numbered 00000-of-0000N in which one is missing."""
    numbered = [re.search(r"-(\d+)-of-(\d+)\.parquet$", path.name) for path in paths]
    found = [(int(m[1]), int(m[2])) for m in numbered if m]
    if found and found != [(n, len(paths)) for n in range(len(paths))]:
        raise DataError(
            f"{paths[0].parent} holds {', '.join(p.name for p in paths)}; give all "
            f"the {found[0][1]} files of one set and no other."
        )


def _read_sums(sums: Path) -> dict[str, str]:
    """File names with their checksums, as sha256sum writes them."""
    found = {}
    for line in sums.read_text().splitlines():
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
        if match is None:
            raise DataError(
                f"{sums}: {line!r} is not a checksum and a file name; write it with "
                "sha256sum."
            )
        found[Path(match[2]).name] = match[1].lower()
    return found


def _check_sum(path: Path, wanted: str, remedy: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise DataError(
            f"{path} has the sha256 checksum {found} instead of {wanted}: it is cut "
            f"off or altered; {remedy}."
        )
