"""What the stored values of a series mean: which bits count, which sign they have, and which are no signal.

Headers contradict their pixels now and then: a scanner writes 14 bits and says 12 (dcm2niix issues 251 and 343), or
two's complement and says unsigned. Read by the header, bright tissue wraps around to black. The pixels are the better
evidence: places beside each other resemble each other in an image, and do so less where values wrap around. So a
contradiction is resolved by the likeness of neighbours, for the whole series at once, and noted.

Padding (PixelPaddingValue, PixelPaddingRangeLimit; PS3.3 C.7.5.1.1.2) marks what was never scanned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.series.dicom import values
from segmentation.undeclared_padding import undeclared_padding

# Values that the header's bits do not hold count when there are more of them than noise in a few bits makes.
_LEAST_SHARE_OF_TOP: Final = 0.0005
# The other sign has to make neighbours more alike by this much, as a correlation, or the range of values this small.
_LEAST_GAIN: Final = 0.1
_SMALL_RANGE: Final = 0.5
# Graphics stand out from what is beside them so many times more than what they cover.
_GRAPHIC_CONTRAST: Final = 4.0
_MOST_FRAMES_COMPARED: Final = 32
# A range of padding that leaves nothing to look at is no padding. Nor is one that holds what was scanned: what marks
# padding is one value or a few, tissue and noise have hundreds.
_MOST_PADDING: Final = 0.99
_MOST_PADDING_VALUES: Final = 32
_NEIGHBOURS: Final = ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1, :], np.s_[1:, :]))
_OVERLAY_GROUPS: Final = range(0x6000, 0x6020, 2)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class StoredFrame:
    """One decoded frame as it lies in the pixel data.

    Attributes:
        raw: bit patterns (row, column), unsigned.
        header: of its instance.
        slope, intercept: of this frame; 1 and 0 where they are absent (PS3.3 C.11.1.1.2).
    """

    raw: NDArray[Any]
    header: Dataset
    slope: float
    intercept: float


@dataclass(frozen=True)
class Meaning:
    """How bit patterns become numbers: `bits` of them up to bit `high`, in two's complement when `signed`."""

    bits: int
    high: int
    signed: bool

    def of(self, raw: NDArray[Any]) -> NDArray[np.int64]:
        """The numbers of bit patterns."""
        wide = raw.astype(np.int64) >> (self.high + 1 - self.bits)
        wide &= (1 << self.bits) - 1
        if self.signed:
            wide -= (wide >> (self.bits - 1)) << self.bits
        return wide


@dataclass(frozen=True, eq=False)
class Intensities:
    """Rescaled intensities of the frames of one series, each made when it is taken: together they are as large as the
    volume.

    Attributes:
        frames: as they are stored; those that were taken are not held any more.
        meanings: of their values.
        padding: where they hold no signal.
    """

    frames: list[StoredFrame | None]
    meanings: Sequence[Meaning]
    padding: Sequence[NDArray[np.bool_]]

    def __len__(self) -> int:
        """Frames."""
        return len(self.frames)

    def take(self, index: int) -> NDArray[np.float32]:
        """Of one frame, (row, column), NaN where there is padding.

        Raises:
            ValueError: it was taken before.
        """
        frame = self.frames[index]
        if frame is None:
            raise ValueError(f"expected a frame that was not taken yet, got frame {index}")
        self.frames[index] = None
        real = (self.meanings[index].of(frame.raw) * frame.slope + frame.intercept).astype(np.float32)
        real[self.padding[index]] = np.nan
        return real


def intensities(frames: Sequence[StoredFrame]) -> tuple[Intensities, tuple[str, ...]]:
    """Rescaled intensities of the frames of one series; and what to note.

    Flags: `bits_contradict_pixels`, `padding_contradicts_pixels`, `undeclared_padding`, `value_range_contradicts`.
    """
    padding = [padding_in(frame) for frame in frames]
    flags = []
    if padding and (np.mean([mask.mean() for mask in padding]) > _MOST_PADDING or _is_scanned(frames, padding)):
        flags.append("padding_contradicts_pixels")
        padding = [_no_padding(frame) for frame in frames]
    # Before the sign is decided: a filler at an end of the range looks like the other sign.
    if undeclared := _undeclared(frames, padding):
        flags.append("undeclared_padding")
        padding = [
            mask | np.isin(_whole(frame).of(frame.raw), undeclared) for frame, mask in zip(frames, padding, strict=True)
        ]
    meanings, is_doubtful = _meanings(frames, padding)
    if is_doubtful:
        flags.append("bits_contradict_pixels")
    if not is_doubtful and any(
        _is_beyond_stated_range(meaning.of(frame.raw)[~mask], frame.header)
        for frame, mask, meaning in zip(frames, padding, meanings, strict=True)
    ):
        flags.append("value_range_contradicts")
    return Intensities(list(frames), meanings, padding), tuple(flags)


def declared(header: Dataset) -> Meaning:
    """What the header says. HighBit below BitsStored - 1 cannot be: then all allocated bits count."""
    stored, high = values.whole(header, "BitsStored") or 1, values.whole(header, "HighBit") or 0
    signed = values.whole(header, "PixelRepresentation") == 1
    if high < stored - 1:
        allocated = values.whole(header, "BitsAllocated") or stored
        return Meaning(allocated, allocated - 1, signed)
    return Meaning(stored, high, signed)


def padding_in(frame: StoredFrame) -> NDArray[np.bool_]:
    """Where a frame holds no signal (row, column), by its header.

    The two attributes are US or SS by PixelRepresentation, and writers mix the two up: both are brought to the
    pixels' own sign first.
    """
    header = frame.header
    first = values.whole(header, "PixelPaddingValue")
    if first is None:
        return _no_padding(frame)
    last = values.whole(header, "PixelPaddingRangeLimit")
    whole = _whole(frame)
    ends = [_with_sign(end, whole) for end in (first, first if last is None else last)]
    low, high = min(ends), max(ends)
    inside = [(low <= numbers) & (numbers <= high) for numbers in (whole.of(frame.raw), declared(header).of(frame.raw))]
    found: NDArray[np.bool_] = inside[0] | inside[1]
    return found


def _is_scanned(frames: Sequence[StoredFrame], padding: Sequence[NDArray[np.bool_]]) -> bool:
    found: set[int] = set()
    for frame, mask in zip(frames, padding, strict=True):
        found.update(np.unique(frame.raw[mask])[: _MOST_PADDING_VALUES + 1].tolist())
        if len(found) > _MOST_PADDING_VALUES:
            return True
    return False


def _no_padding(frame: StoredFrame) -> NDArray[np.bool_]:
    """False everywhere, without memory."""
    return np.broadcast_to(np.False_, frame.raw.shape)


def _undeclared(frames: Sequence[StoredFrame], padding: Sequence[NDArray[np.bool_]]) -> list[float]:
    """Stored values that no header declares as padding, and that are none of the scan.

    0 in MONOCHROME2 is left alone, since it is what no signal looks like.
    """
    found = undeclared_padding(
        _whole(frame).of(_signal(frame, mask)) for frame, mask in zip(frames, padding, strict=True)
    )
    low_is_bright = values.text(frames[0].header, "PhotometricInterpretation") == "MONOCHROME1"
    return [value for value in found if value != 0 or low_is_bright]


def _signal(frame: StoredFrame, mask: NDArray[np.bool_]) -> NDArray[Any]:
    """The bit patterns outside the padding, in a row; no copy where there is none."""
    return frame.raw[~mask] if mask.any() else frame.raw.ravel()


def _whole(frame: StoredFrame) -> Meaning:
    """All allocated bits, with the sign that the header states."""
    allocated = frame.raw.dtype.itemsize * 8
    return Meaning(allocated, allocated - 1, values.whole(frame.header, "PixelRepresentation") == 1)


def _with_sign(number: int, whole: Meaning) -> int:
    size = 1 << whole.bits
    number %= size
    return number - size if whole.signed and number >= size // 2 else number


def _meanings(frames: Sequence[StoredFrame], padding: Sequence[NDArray[np.bool_]]) -> tuple[list[Meaning], bool]:
    """One meaning for each frame, the same for frames that say the same; and whether the pixels had to decide."""
    groups: dict[tuple[Meaning, int], list[int]] = {}
    for index, frame in enumerate(frames):
        groups.setdefault((declared(frame.header), frame.raw.dtype.itemsize * 8), []).append(index)
    meanings: dict[int, Meaning] = {}
    is_doubtful = False
    for (stated, allocated), members in groups.items():
        chosen, has_other = _resolve([(frames[index], padding[index]) for index in members], stated, allocated)
        is_doubtful |= has_other or chosen != _as_written(frames[members[0]].header)
        meanings.update(dict.fromkeys(members, chosen))
    return [meanings[index] for index in range(len(frames))], is_doubtful


def _as_written(header: Dataset) -> Meaning:
    return Meaning(
        values.whole(header, "BitsStored") or 1,
        values.whole(header, "HighBit") or 0,
        values.whole(header, "PixelRepresentation") == 1,
    )


def _resolve(
    frames: Sequence[tuple[StoredFrame, NDArray[np.bool_]]], stated: Meaning, allocated: int
) -> tuple[Meaning, bool]:
    """What the values mean, and whether they have bits that nothing in the header explains."""
    signals = [_signal(frame, mask) for frame, mask in frames]
    has_other = not _has_overlay_bits(frames[0][0].header) and any(
        bool(_with_other_bits(signal, stated).any()) for signal in signals
    )
    if has_other:
        whole = [Meaning(allocated, allocated - 1, signed) for signed in (stated.signed, not stated.signed)]
        return _with_all_bits(frames, stated, whole), True
    flipped = Meaning(stated.bits, stated.high, not stated.signed)
    if _share_of_top(signals, stated) <= _LEAST_SHARE_OF_TOP:
        return stated, False
    is_plainer = _likeness(frames, flipped) > _likeness(frames, stated) + _LEAST_GAIN
    is_plainer |= _range(signals, flipped) < _SMALL_RANGE * _range(signals, stated)
    return flipped if is_plainer else stated, False


def _range(signals: Sequence[NDArray[Any]], meaning: Meaning) -> int:
    numbers = [meaning.of(signal) for signal in signals if signal.size]
    return max(int(array.max()) for array in numbers) - min(int(array.min()) for array in numbers)


def _with_all_bits(
    frames: Sequence[tuple[StoredFrame, NDArray[np.bool_]]], stated: Meaning, whole: Sequence[Meaning]
) -> Meaning:
    """All bits count, unless what the stated ones leave out looks like graphics, or is the same everywhere."""
    if _other_bits_are_equal(frames, stated):
        return stated
    best = max(whole, key=lambda meaning: _likeness(frames, meaning))
    if stated.high + 1 > stated.bits:  # the lowest bits: no graphics, which would not be seen there
        return best
    as_stated, as_found = (_difference_at_other_bits(frames, stated, meaning) for meaning in (stated, best))
    is_graphic = as_stated is not None and as_found is not None and as_found > _GRAPHIC_CONTRAST * as_stated
    return stated if is_graphic else best


def _other_bits_are_equal(frames: Sequence[tuple[StoredFrame, NDArray[np.bool_]]], stated: Meaning) -> bool:
    kept = ((1 << stated.bits) - 1) << (stated.high + 1 - stated.bits)
    found = {int(number) for frame, mask in frames for number in np.unique(frame.raw[~mask].astype(np.int64) & ~kept)}
    return len(found) == 1


def _difference_at_other_bits(
    frames: Sequence[tuple[StoredFrame, NDArray[np.bool_]]], stated: Meaning, meaning: Meaning
) -> float | None:
    """Mean difference between pixels with other bits and neighbours in the plane without; None where none meet.

    In units of the spread of all values: less is plainer.
    """
    total, count, spreads = 0.0, 0, []
    for frame, mask in frames:
        numbers, odd = meaning.of(frame.raw), _with_other_bits(frame.raw, stated)
        spreads.append(float(numbers[~mask].std()) if not mask.all() else 0.0)
        for here, there in _NEIGHBOURS:
            meet = (odd[here] != odd[there]) & ~mask[here] & ~mask[there]
            total += float(np.abs(numbers[here] - numbers[there])[meet].sum())
            count += int(np.count_nonzero(meet))
    spread = sum(spreads) / len(spreads)
    return total / count / spread if count and spread else None


def _with_other_bits(raw: NDArray[Any], stated: Meaning) -> NDArray[np.bool_]:
    """Pixels with bits outside the stated ones that are no copies of the sign."""
    wide = raw.astype(np.int64)
    above = wide >> (stated.high + 1)
    if stated.signed:
        allocated = raw.dtype.itemsize * 8
        copies = (1 << (allocated - stated.high - 1)) - 1
        negative = (wide >> stated.high) & 1 == 1
        above = np.where(negative & (above == copies), 0, above)
    below = wide & ((1 << (stated.high + 1 - stated.bits)) - 1)
    found: NDArray[np.bool_] = (above != 0) | (below != 0)
    return found


def _has_overlay_bits(header: Dataset) -> bool:
    """Overlays in bits of the pixels, as ACR-NEMA had them (retired, PS3.3-2004 C.9.2)."""
    return any((group, 0x0102) in header and (group, 0x3000) not in header for group in _OVERLAY_GROUPS)


def _share_of_top(signals: Sequence[NDArray[Any]], stated: Meaning) -> float:
    """Which share of the values has the highest stated bit set: the sign, or half of the range."""
    count = sum(signal.size for signal in signals)
    top = sum(int(np.count_nonzero((signal.astype(np.int64) >> stated.high) & 1)) for signal in signals)
    return top / count if count else 0.0


def _likeness(frames: Sequence[tuple[StoredFrame, NDArray[np.bool_]]], meaning: Meaning) -> float:
    """Correlation of pixels with their right and lower neighbours over all frames, -1 to 1."""
    one, other = [], []
    for frame, mask in frames[:: -(-len(frames) // _MOST_FRAMES_COMPARED)]:
        numbers, valid = meaning.of(frame.raw).astype(np.float32), ~mask
        for here, there in _NEIGHBOURS:
            both = valid[here] & valid[there]
            one.append(numbers[here][both])
            other.append(numbers[there][both])
    left, right = np.concatenate(one), np.concatenate(other)
    if left.size < 2 or left.std() == 0 or right.std() == 0:
        return 1.0
    return float(np.corrcoef(left, right)[0, 1])


def _is_beyond_stated_range(numbers: NDArray[np.int64], header: Dataset) -> bool:
    """SmallestImagePixelValue and LargestImagePixelValue (PS3.3 C.7.6.3) leave values of the image out."""
    if not numbers.size:
        return False
    smallest, largest = (values.whole(header, f"{which}ImagePixelValue") for which in ("Smallest", "Largest"))
    is_below = smallest is not None and int(numbers.min()) < _signed_like(smallest, numbers)
    return is_below or (largest is not None and int(numbers.max()) > _signed_like(largest, numbers))


def _signed_like(number: int, numbers: NDArray[np.int64]) -> int:
    """US and SS are mixed up here as well: 65436 among negative numbers is -100."""
    return number - 0x10000 if number >= 0x8000 and numbers.min() < 0 else number
