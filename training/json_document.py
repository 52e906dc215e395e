"""Documents that are kept as JSON: frozen, valid once constructed, and read back equal or not at all."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.errors import BadEvaluation

Fraction = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class FrozenRecord(BaseModel):
    """Part of a document: nothing unknown, nothing changed afterwards, no NaN, no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class JsonDocument(FrozenRecord):
    """A whole document.

    Attributes:
        FILE_NAME: of its file.
        SCHEMA: the version that this software writes and reads.
        schema_version: the version of this document.
    """

    FILE_NAME: ClassVar[str]
    SCHEMA: ClassVar[int] = 1

    schema_version: int = 1

    @model_validator(mode="after")
    def _known_schema(self) -> Self:
        if self.schema_version != self.SCHEMA:
            raise ValueError(f"expected schema {self.SCHEMA}, got {self.schema_version}")
        return self

    def to_json(self) -> str:
        """The document, indented; `from_json` gives an equal one."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a document.

        Raises:
            BadEvaluation: not JSON, another schema, a field missing or out of range.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "top level"
            raise BadEvaluation(f"{cls.FILE_NAME}, {where}: {first['msg']}") from error
