"""Whom a request is about: a customer as the shop knows them or, where none is known, a session or cart."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["NamedCustomer"]

_Identity = Annotated[str, Field(max_length=200, pattern=r"\S")]


class NamedCustomer(BaseModel):
    """The one of both that is given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    customer_id: _Identity | None = Field(default=None, description="As orders name the customer.")
    anonymous_id: _Identity | None = Field(default=None, description="A session or a cart of nobody known.")

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.customer_id is None) == (self.anonymous_id is None):
            raise ValueError("give either customer_id or anonymous_id")
        return self
