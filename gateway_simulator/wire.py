"""The frames of the TWS protocol: a length, then fields that each end with a zero byte."""

import struct
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import IntEnum

FRAME_BYTES_MAX = 0xFFFFFF  # what the official client takes at most
_HEAD_BYTES = 4
UNSET_DOUBLE = "1.7976931348623157E308"
UNSET_INTEGER = "2147483647"
_UNSET = frozenset({"", UNSET_DOUBLE, "1.7976931348623157e+308", UNSET_INTEGER})
_WHOLE_MAX = 2**63  # what no field of the protocol exceeds
_NUMBER_MAX = Decimal("1e15")  # more than any price or quantity; steps of 1e-8 divide it
Field = str | int | float | Decimal | bool | None


class BadMessageError(ValueError):
    """Bytes or fields that no correct client sends."""


def text_of(field: Field) -> str:
    """Return a field as it stands on the wire; zero bytes cannot be sent and become spaces."""
    if field is None:
        return ""
    if isinstance(field, bool):
        return "1" if field else "0"
    if isinstance(field, IntEnum):
        return str(int(field))
    if isinstance(field, Decimal):
        return plain(field)
    return str(field).replace("\0", " ")


def plain(number: Decimal) -> str:
    """Return a number without an exponent and without trailing zeros."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-", "-0") else text


def frame(fields: Iterable[Field]) -> bytes:
    """Return one message, ready to be sent."""
    body = "".join(f"{text_of(field)}\0" for field in fields).encode(errors="backslashreplace")
    return struct.pack(">I", len(body)) + body


class FrameReader:
    """Puts messages together from bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[list[str]]:
        """Return the messages that are complete; BadMessageError on a length nobody sends."""
        self._bytes += data
        messages: list[list[str]] = []
        while len(self._bytes) >= _HEAD_BYTES:
            (length,) = struct.unpack_from(">I", self._bytes)
            if length > FRAME_BYTES_MAX:
                raise BadMessageError(
                    f"a frame must have {FRAME_BYTES_MAX} bytes at most, {length}"
                )
            if len(self._bytes) < _HEAD_BYTES + length:
                break
            body = bytes(self._bytes[_HEAD_BYTES : _HEAD_BYTES + length])
            del self._bytes[: _HEAD_BYTES + length]
            messages.append(split(body))
        return messages


def split(body: bytes) -> list[str]:
    """Return the fields of one message; a last field without its zero byte counts as one."""
    fields = body.decode(errors="backslashreplace").split("\0")
    if fields[-1] == "":
        fields.pop()
    return fields


class Fields:
    """Reads the fields of one message in order; BadMessageError where one is missing or wrong."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields, self._next = fields, 0

    @property
    def left(self) -> int:
        return len(self._fields) - self._next

    def text(self, *, default: str | None = None) -> str:
        if self._next >= len(self._fields):
            if default is not None:
                return default
            raise BadMessageError(f"a field must follow after {self._next}, none did")
        self._next += 1
        return self._fields[self._next - 1]

    def skip(self, count: int) -> None:
        for _ in range(count):
            self.text()

    def whole(self, *, default: int = 0) -> int:
        text = self.text(default="")
        if text in _UNSET:
            return default
        number = number_of(text)
        if number is None or abs(number) > _WHOLE_MAX:
            raise BadMessageError(f"a whole number must stand here, was {text[:40]!r}")
        return int(number)

    def number(self) -> Decimal | None:
        """Return a number, or None where it is not set."""
        return number_of(self.text(default=""))

    def flag(self) -> bool:
        text = self.text(default="")
        return text not in ("", "0") and text.lower() != "false"


def number_of(text: str) -> Decimal | None:
    """Return a number as sent, or None where it is not set; BadMessageError where it is none."""
    if text in _UNSET:
        return None
    try:
        value = Decimal(text)
    except ArithmeticError:
        raise BadMessageError(f"a number must stand here, was {text!r}") from None
    if value.is_finite() and value >= Decimal("1e300"):
        return None  # another way to write what is not set
    if not value.is_finite() or abs(value) > _NUMBER_MAX:
        raise BadMessageError(f"a number must stand here, was {text[:40]!r}")
    return value
