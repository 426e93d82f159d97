"""Where the files of an image set are, and whether the set is whole.

Files follow the Hugging Face hub's schema: a column of encoded images, one of labels.
They come from a folder, or from the hub if that is asked for by name; nothing is ever
downloaded otherwise. The hub's own client keeps the download in its cache (set by
HF_HOME), works without a network once it is there (HF_HUB_OFFLINE=1), and moves a file
to its name only when all of it has come.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = "folder"
"""The name of a set that is whatever image set lies in the data root itself."""

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


_WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "validation", "valid", "val", "dev", "eval"),
}
"""What names a split in the names of files and folders; the first that is there."""

_NUMBER = re.compile(r"(\d+)(?:-of-(\d+)(?:-[0-9a-f]+)?)?$")
"""Number of a file in its set, and of how many; the hub adds a hash of its own."""


def find_files(name: str, split: str, root: str = "") -> list[Path]:
    """Files of a split ("train" or "test") in the order of their numbers, verified.

    ``root`` is a folder that holds ``name/split-*.parquet``, or "hub" for the Hugging
    Face hub; if it is empty the environment variable SPECTRAL_DATA says which. For the
    name "folder" it is the folder of the set itself.

    Files are parquet, or arrow as ``datasets.save_to_disk`` writes it. The last word in
    a file's path that names a split counts, as in ``data/train-0.parquet`` or
    ``validation/0000.parquet``; a validation set stands for a missing test set. Files
    of a folder are checked against ``SHA256SUMS`` beside them, where there is one
    (``sha256sum *.parquet > SHA256SUMS`` makes it), those of the hub always.

    Raises
    ------
    ValueError
        If there are no files, some of a numbered set are missing or there are those of
        two sets, or a checksum is wrong.
    """
    root = root or os.environ.get(SETTING, "")
    if root == HUB and name != FOLDER:
        return [_from_hub(name, split)]
    folder = Path(root or "<data_root>", "" if name == FOLDER else name).expanduser()
    folder = folder.absolute() if root else folder
    paths = _named_by(split, folder) if root else []
    if not paths and name == FOLDER:
        raise DataError(
            f"{folder} holds no parquet or arrow files of a {split} set; set data_root "
            f"to a folder with files such as {split}-0.parquet, or what "
            "datasets.save_to_disk wrote with its splits."
        )
    if not paths:
        raise DataError(
            f"there is no {folder}/{split}-*.parquet; set data_root (or the "
            "environment variable SPECTRAL_DATA) to the folder that holds it, or to "
            f"'{HUB}' to download {SOURCES[name].repository} from the Hugging Face "
            "hub, or use the data 'digits'."
        )
    paths = _whole_set(paths)
    sums = paths[0].parent / "SHA256SUMS"
    if sums.exists():
        wanted = _read_sums(sums)
        word = _split_word(paths[0].relative_to(folder))
        for path in [sums.with_name(listed) for listed in wanted]:
            if path not in paths and _split_word(path.relative_to(folder)) == word:
                raise DataError(f"{sums} lists {path}, which is missing; add it.")
        for path in paths:
            if path.name not in wanted:
                raise DataError(f"{sums} does not list {path}; add its checksum.")
            _check_sum(path, wanted[path.name], "replace the file by a whole copy")
    return paths


def _split_word(path: Path) -> str | None:
    """The last word of a relative path that names a split."""
    known = [word for words in _WORDS.values() for word in words]
    found = [w for w in re.split("[^a-z]+", path.as_posix().lower()) if w in known]
    return found[-1] if found else None


def _named_by(split: str, folder: Path) -> list[Path]:
    """Files of a folder, and of folders in it, with the first word for a split."""
    files = [path for depth in ("*", "*/*", "*/*/*") for path in folder.glob(depth)]
    files = [path for path in files if path.suffix in (".parquet", ".arrow")]
    by_word: dict[str | None, list[Path]] = {}
    for path in files:
        by_word.setdefault(_split_word(path.relative_to(folder)), []).append(path)
    return next((by_word[w] for w in _WORDS[split] if w in by_word), [])


def _whole_set(paths: Sequence[Path]) -> list[Path]:
    """Files in the order of their numbers; refuse parts of a set, and two sets."""
    folder = paths[0].parent
    state = folder / "state.json"
    if state.exists() and {path.parent for path in paths} == {folder}:
        paths = _saved_to_disk(state)  # and not what was cached beside them
    matches = [_NUMBER.search(path.stem) for path in paths]
    # Of how many, 0 if that is not said; a file without a number is the one of one.
    places = [(int(m[2] or 0), int(m[1])) if m else (1, 0) for m in matches]
    totals, numbers = {total for total, _ in places}, sorted(n for _, n in places)
    count = max(totals) or len(paths)
    start = numbers[0] if max(totals) == 0 and numbers[0] == 1 else 0
    one = len({(path.parent, path.suffix) for path in paths}) == len(totals) == 1
    if not one or numbers != list(range(start, start + count)):
        few = ", ".join(sorted(str(p.relative_to(folder.parent)) for p in paths)[:6])
        raise DataError(
            f"{folder} holds {few}{', ...' if len(paths) > 6 else ''}; give all "
            f"{f'the {count} ' if max(totals) else ''}files of one set and no other, "
            f"with numbers from {start} on."
        )
    return [path for _, path in sorted(zip(places, paths, strict=True))]


def _saved_to_disk(state: Path) -> list[Path]:
    """Files that ``datasets.save_to_disk`` lists."""
    try:
        found = json.loads(state.read_text("utf-8"))
        files = [state.with_name(entry["filename"]) for entry in found["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{state} does not list the files of a set ({error!r}); write it with "
            "datasets.save_to_disk."
        ) from error
    if not files or found.get("_indices_data_files"):
        raise DataError(
            f"{state} lists no files, or rows of them; save the set with "
            "flatten_indices().save_to_disk."
        )
    return files


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


def _read_sums(sums: Path) -> dict[str, str]:
    """File names with their checksums, as sha256sum writes them."""
    try:
        lines = sums.read_text("utf-8-sig").splitlines()
    except ValueError as error:
        raise DataError(
            f"{sums} is not text in UTF-8 ({error}); write it with sha256sum, in "
            "PowerShell with '| Out-File -Encoding utf8'."
        ) from error
    found = {}
    for line in lines:
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
