"""How a self-contained page is filled in: one template, with every frame and style inside it."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2

__all__ = ["render_page"]


def render_page(name: str, /, **values: Any) -> str:
    """Return a template that extends `page.html` filled in; a name that no value has is an error."""
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("api"), autoescape=True, undefined=jinja2.StrictUndefined
    )
