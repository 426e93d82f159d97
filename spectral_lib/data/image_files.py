"""Encoded images and labels of parquet and arrow files, and the pixels they hold."""

import io
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from spectral_lib.data.sources import DataError, Source

if TYPE_CHECKING:
    import pyarrow as pa

Cell = tuple[str, bytes]
"""Where an encoded image stands (file, column and row), and its bytes."""

_GREY, _COLOUR = ("1", "L"), ("RGB", "P", "CMYK", "YCbCr")
"""Pillow's names of what can be made 8 bits of grey or of three colours, as it is."""

_STREAM_END = b"\xff\xff\xff\xff\0\0\0\0"


def read_file(path: Path, source: Source) -> tuple[list[Cell], Tensor]:
    """Encoded images and labels [examples] of a parquet or arrow file.

    Raises
    ------
    ValueError
        If the file is cut off or altered, its columns are not those of the source, or
        it holds or declares other classes.
    """
    table, known = _read_table(path, [source.image, source.label])
    missing = [name for name in (source.image, source.label) if name not in known]
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]!r}, only {known}; give files in the "
            f"schema of {source.repository}."
        )
    where = f"{path}, column {source.label!r}"
    names = _class_names(table.schema, source.label)
    if names and len(names) != source.classes:
        raise DataError(
            f"{where}: declares {len(names)} classes ({', '.join(names[:5])}) and the "
            f"set has {source.classes}; give all files of one set, with all classes."
        )
    labels = _labels(path, table, source.label)
    if max(labels, default=0) >= source.classes:
        raise DataError(
            f"{where}: a label is {max(labels)}; give 0 to {source.classes - 1}."
        )
    return _cells(path, table, source.image), torch.tensor(labels, dtype=torch.long)


def infer_source(paths: Sequence[Path], side: int | None) -> Source:
    """What the training files of a set of one's own hold.

    Images are the column ``image`` or ``img``, labels ``label`` or ``fine_label``.
    Labels 0 to C - 1 are C classes. Images are grey if all are, else they have three
    colours; without a ``side`` to resize them to, they have that of the first one.

    Raises
    ------
    ValueError
        If there are no such columns, or an image is not one.
    """
    _, known = _read_table(paths[0], [])
    image, label = (
        next((name for name in what if name in known), None)
        for what in (("image", "img"), ("label", "fine_label"))
    )
    if image is None or label is None:
        raise DataError(
            f"{paths[0]} has the columns {known}; name one 'image' or 'img' and one "
            "'label' or 'fine_label'."
        )
    tables = [(path, _read_table(path, [image, label])[0]) for path in paths]
    labels = [n for path, table in tables for n in _labels(path, table, label)]
    cells = [cell for path, table in tables for cell in _cells(path, table, image)]
    headers = [_header(cell) for cell in cells]
    return Source(
        str(paths[0]),
        revision="",
        folder="",
        image=image,
        label=label,
        classes=max(labels, default=0) + 1,
        channels=1 if all(picture.mode in _GREY for picture in headers) else 3,
        side=side or (headers[0].width if headers else 1),
    )


def decode_pictures(
    cells: Sequence[Cell], source: Source, *, convert: bool = False, fit: bool = False
) -> Tensor:
    """Pixels [examples, channels, side, side] as bytes, of images as the source says.

    What a camera says on orientation is followed. With ``convert``, images of other
    modes are made grey or RGB; with ``fit`` the largest square in the middle of each is
    resized to the side (Pillow's bilinear, antialiased). Mode and size are read from
    the header before an image is unpacked.

    Raises
    ------
    ValueError
        If an image is damaged, too large to unpack or not as the source says.
    """
    from PIL import Image, ImageOps

    mode, size = {1: "L", 3: "RGB"}[source.channels], (source.side, source.side)
    modes = (mode,) if not convert else _GREY if mode == "L" else _GREY + _COLOUR
    pixels = np.empty((len(cells), *size, source.channels), np.uint8)
    for n, cell in enumerate(cells):
        picture = _header(cell)
        if picture.mode not in modes or picture.has_transparency_data:
            other = "" if picture.mode != mode else " with transparency"
            raise DataError(
                f"{cell[0]}: is {picture.mode}{other} of {picture.size} pixels; give "
                f"{mode} of {size}."
            )
        if not fit and picture.size != size:
            raise DataError(
                f"{cell[0]}: is {picture.mode} of {picture.size} pixels; give {mode} "
                f"of {size}{', or a side to resize all images to' if convert else ''}."
            )
        try:
            upright = ImageOps.exif_transpose(picture).convert(mode)
        except Exception as error:  # Pillow's for damaged files share no class
            raise _damaged(cell, error) from error
        if fit:
            upright = ImageOps.fit(upright, size, Image.Resampling.BILINEAR)
        pixels[n] = np.asarray(upright).reshape(pixels.shape[1:])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def _header(cell: Cell) -> Any:
    """An image of which nothing but the header is read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(cell[1]))
    except Exception as error:  # Pillow's for damaged files share no class
        raise _damaged(cell, error) from error


def _damaged(cell: Cell, error: Exception) -> DataError:
    return DataError(f"{cell[0]}: is not a whole image ({error}); replace the file.")


def _read_table(path: Path, columns: Sequence[str]) -> tuple["pa.Table", list[str]]:
    """Those of the columns that a file has, and the names of all that it has."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(
            f"{path} needs the package pyarrow; install it, or use the data 'digits'."
        ) from None
    try:
        if path.suffix == ".parquet":
            known = parquet.read_schema(path).names
            columns = [column for column in columns if column in known]
            table = parquet.read_table(
                path,
                columns=columns,
                partitioning=None,
                page_checksum_verification=True,
            )
            return table, known
        with pa.memory_map(str(path)) as file:
            # A stream that lacks its last batches would read as a shorter one.
            if file.read_at(8, max(0, file.size() - 8)) != _STREAM_END:
                raise OSError("its end is missing")
            table = pa.ipc.open_stream(file).read_all()
        known = table.schema.names
        return table.select([name for name in columns if name in known]), known
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not a whole {path.suffix[1:]} file ({error}); replace it."
        ) from error


def _cells(path: Path, table: "pa.Table", column: str) -> list[Cell]:
    import pyarrow as pa
    import pyarrow.compute as compute

    where, values = f"{path}, column {column!r}", table[column]
    if pa.types.is_struct(values.type) and values.type.get_field_index("bytes") >= 0:
        values = compute.struct_field(values, "bytes")
    if not (pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)):
        raise DataError(
            f"{where}: is {values.type}; give encoded images such as PNG or JPEG as "
            "bytes, or as a structure with the field 'bytes', not as lists or text."
        )
    cells = [(f"{where}, row {n}", cell) for n, cell in enumerate(values.to_pylist())]
    for place, cell in cells:
        if cell is None:
            raise DataError(f"{place}: there is no image; give its bytes.")
    return cells


def _labels(path: Path, table: "pa.Table", column: str) -> list[int]:
    import pyarrow as pa

    if not pa.types.is_integer(table[column].type):
        raise DataError(
            f"{path}, column {column!r}: is {table[column].type}; give integer labels."
        )
    labels = table[column].to_pylist()
    wrong = [label for label in labels if label is None or label < 0]
    if wrong:
        raise DataError(
            f"{path}, column {column!r}: a label is {wrong[0]}; give each image a "
            "class, counted from 0."
        )
    return labels


def _class_names(schema: "pa.Schema", column: str) -> list[str]:
    """Names of the classes, where the file's Hugging Face features declare them."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return list(features[column]["names"])
    except (KeyError, TypeError, ValueError):
        return []
