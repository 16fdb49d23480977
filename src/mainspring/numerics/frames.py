"""Pack columns of rows into checksummed frames for append-only logs, and read them back.

A frame is a 16-byte header and a payload, all little-endian::

    magic "MSF1" | payload bytes u32 | crc32 of the payload u32 | crc32 of these 12 bytes u32
    msgpack [rows, meta, [[name, kind, width, data, levels], ...]]

Numbers travel as the raw bytes of their array, so that every bit comes back (NaN payloads and
negative zero too); text travels as a list, or as codes into its levels when values repeat.
The header has its own checksum: a damaged length would otherwise look like a frame that was
not wholly written, and everything behind it would silently be lost.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import ShapesDifferError

MAGIC = b"MSF1"
HEADER_BYTES = 16
_FIELDS = struct.Struct("<4sII")
_CHECK = struct.Struct("<I")

# Kinds as they stand in the file; a number is never reused for something else.
_TEXT, _CODED = 0, 1
_KIND_OF_DTYPE = {
    np.dtype("<f8"): 2,
    np.dtype("<i8"): 3,
    np.dtype("?"): 4,
    np.dtype("<f4"): 5,
    np.dtype("<i4"): 6,
}
_DTYPE_OF_KIND = {kind: dtype for dtype, kind in _KIND_OF_DTYPE.items()}
_CODE_DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<u1"),
    2: np.dtype("<u2"),
    4: np.dtype("<u4"),
}
# Below this many rows the levels would cost more than they save.
_CODED_FROM_ROWS = 8

_TEXT_TYPES = frozenset((str, type(None)))

Column = npt.NDArray[Any] | Sequence[str | None]


class FrameCorruptError(ValueError):
    """The bytes of a log do not match their checksum or are no frame at all.

    ``valid_bytes`` counts the bytes of whole, good frames before the damage.
    """

    def __init__(self, message: str, valid_bytes: int = 0) -> None:
        super().__init__(message)
        self.valid_bytes = valid_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Some rows of a log, column by column.

    Number columns are read-only arrays of shape (rows,) or (rows, width), text columns are
    lists of ``str | None``; the order of the columns is the one they were written in.
    """

    rows: int
    columns: dict[str, npt.NDArray[Any] | list[str | None]]
    meta: dict[str, Any]


class _PackedColumn(msgspec.Struct, array_like=True, gc=False):
    name: str
    kind: int
    width: int  # numbers: columns of a 2-d array, -1 for 1-d; coded text: bytes of one code
    data: bytes = b""
    levels: list[str | None] = []


class _Payload(msgspec.Struct, array_like=True, gc=False):
    rows: int
    meta: dict[str, Any]
    columns: list[_PackedColumn]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Payload).decode


def encode_frame(columns: Mapping[str, Column], meta: dict[str, Any]) -> bytes:
    """Pack columns of the same number of rows into one frame, ready to append to a log.

    Number columns are arrays of float64, float32, int64, int32 or bool with shape (rows,) or
    (rows, width); text columns are sequences of ``str | None``, in which the empty string and
    None stay apart. ``meta`` is anything msgpack can hold, a few words about the rows.

    Raises:
        ShapesDifferError: if the columns do not have the same number of rows.
        TypeError: if an array holds anything else, or has more than two dimensions.

    Example:
        >>> frame = encode_frame({"x": np.array([1.5]), "city": ["Ulm"]}, {"version": 3})
        >>> next(decode_frames(frame)).columns["city"]
        ['Ulm']
    """
    rows = -1
    packed: list[object] = []
    for name, column in columns.items():
        if isinstance(column, np.ndarray):
            entry = _pack_numbers(name, column)
            length = column.shape[0]
        else:
            entry = _pack_text(name, column)
            length = len(column)
        if rows != length:
            if rows >= 0:
                raise ShapesDifferError(
                    f"Column {name!r} has {length} rows, the columns before it have {rows}."
                )
            rows = length
        packed.append(entry)
    payload = _encode((max(rows, 0), meta, packed))
    fields = _FIELDS.pack(MAGIC, len(payload), crc32(payload))
    return b"".join((fields, _CHECK.pack(crc32(fields)), payload))


def _pack_numbers(name: str, column: npt.NDArray[Any]) -> tuple[object, ...]:
    kind = _KIND_OF_DTYPE.get(column.dtype)
    if kind is None:
        native = column.dtype.newbyteorder("<")
        kind = _KIND_OF_DTYPE.get(native)
        if kind is None:
            raise TypeError(
                f"Column {name!r} holds {column.dtype}; a frame holds float64, float32, int64, "
                "int32, bool, or text as a list. Convert it first."
            )
        column = column.astype(native)
    if column.ndim == 1:
        return name, kind, -1, column.tobytes()
    if column.ndim == 2:
        return name, kind, column.shape[1], column.tobytes()
    raise TypeError(f"Column {name!r} has {column.ndim} dimensions; a frame holds one or two.")


def _pack_text(name: str, column: Sequence[str | None]) -> tuple[object, ...]:
    if not _TEXT_TYPES.issuperset(map(type, column)):
        column = [_plain_text(name, value) for value in column]
    if len(column) < _CODED_FROM_ROWS:
        return name, _TEXT, 0, b"", column
    levels = {value: code for code, value in enumerate(dict.fromkeys(column))}
    if 2 * len(levels) > len(column):
        return name, _TEXT, 0, b"", column
    width = 1 if len(levels) <= 0x100 else 2 if len(levels) <= 0x10000 else 4
    codes = np.fromiter(map(levels.__getitem__, column), _CODE_DTYPES[width], len(column))
    return name, _CODED, width, codes.tobytes(), list(levels)


def _plain_text(name: str, value: object) -> str | None:
    # Refused here, or the frame would be written and could never be read.
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    raise TypeError(f"Column {name!r} holds text or None, found {value!r}.")


def decode_frames(buffer: bytes | bytearray | memoryview) -> "FrameReader":
    """Read frame after frame from the bytes of a log.

    Iterating stops cleanly at a tail that was not wholly written, and the reader's
    ``valid_bytes`` then says from which byte on to read again when the log has grown.

    Raises:
        FrameCorruptError: while iterating, at the first frame that is whole but damaged.
    """
    return FrameReader(buffer)


class FrameReader(Iterator[Frame]):
    """An iterator over the frames of a buffer that knows how far it came.

    ``valid_bytes`` counts the bytes of the whole frames handed out so far.
    """

    def __init__(self, buffer: bytes | bytearray | memoryview) -> None:
        self._buffer = memoryview(buffer).cast("B")
        self.valid_bytes = 0

    def __next__(self) -> Frame:
        start = self.valid_bytes
        header = self._buffer[start : start + HEADER_BYTES]
        if len(header) < HEADER_BYTES or self._only_zeros(header):
            raise StopIteration
        fields = header[:12]
        magic, length, checksum = _FIELDS.unpack(fields)
        if magic != MAGIC or _CHECK.unpack(header[12:])[0] != crc32(fields):
            raise FrameCorruptError(f"No frame header at byte {start}.", start)
        payload = self._buffer[start + HEADER_BYTES : start + HEADER_BYTES + length]
        if len(payload) < length:
            raise StopIteration
        if crc32(payload) != checksum:
            raise FrameCorruptError(f"The frame at byte {start} fails its checksum.", start)
        try:
            frame = _unpack(payload)
        except (msgspec.MsgspecError, ValueError, UnicodeDecodeError, IndexError) as error:
            raise FrameCorruptError(
                f"The frame at byte {start} has a good checksum and cannot be read: {error}", start
            ) from error
        self.valid_bytes = start + HEADER_BYTES + length
        return frame

    def _only_zeros(self, header: memoryview) -> bool:
        # A power cut can leave a file longer than what reached the disk, filled with zeros.
        return header[0] == 0 and not any(self._buffer[self.valid_bytes :])


def _unpack(payload: memoryview) -> Frame:
    packed = _decode(payload)
    columns = {column.name: _unpack_column(column, packed.rows) for column in packed.columns}
    return Frame(packed.rows, columns, packed.meta)


def _unpack_column(column: _PackedColumn, rows: int) -> npt.NDArray[Any] | list[str | None]:
    values: npt.NDArray[Any] | list[str | None]
    if column.kind == _TEXT:
        values = column.levels
    elif column.kind == _CODED:
        if column.width not in _CODE_DTYPES:
            raise ValueError(f"codes of {column.width} bytes")
        codes = np.frombuffer(column.data, _CODE_DTYPES[column.width])
        values = [column.levels[code] for code in codes.tolist()]
    elif column.kind in _DTYPE_OF_KIND:
        flat = np.frombuffer(column.data, _DTYPE_OF_KIND[column.kind])
        return flat.reshape(rows) if column.width < 0 else flat.reshape(rows, column.width)
    else:
        raise ValueError(f"column kind {column.kind} is from a newer version")
    if len(values) != rows:
        raise ValueError(f"column {column.name!r} has {len(values)} rows instead of {rows}")
    return values
