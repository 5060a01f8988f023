"""The reader of an answer: in which language it is told."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Response

from api.texts import Texts, negotiate, texts

__all__ = ["Reader", "reader"]

Language = Annotated[str | None, Header(alias="Accept-Language", description="`en` or `es`.")]


def reader(response: Response, accept_language: Language = None) -> Texts:
    """Return the texts of the reader's language, and say which it is."""
    chosen = texts(negotiate(accept_language))
    response.headers["Content-Language"] = chosen.language
    return chosen


Reader = Annotated[Texts, Depends(reader)]
