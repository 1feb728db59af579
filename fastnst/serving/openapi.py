"""The description of the service's addresses: OpenAPI for programs, and one page of HTML for people."""

from html import escape
from typing import Any

from fastnst import __version__
from fastnst.serving.settings import ServeSettings
from fastnst.serving.uploads import FORMATS

PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # the page loads nothing
_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;"
    "max-width:52rem;margin:2rem auto;padding:0 1rem}"
    "h2{margin:2.5rem 0 .5rem;font-size:1.15rem}code,pre{font:14px/1.5 ui-monospace,monospace}"
    "pre{padding:.75rem 1rem;border:1px solid #8886;border-radius:.4rem;overflow-x:auto}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem 1rem .25rem 0;vertical-align:top;"
    "border-bottom:1px solid #8884}"
)


def describe(settings: ServeSettings, *, with_key: bool) -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        settings: Its limits are told.
        with_key: Whether requests need a key.
    """
    fields = _fields(settings)
    image = {"schema": {"type": "string", "format": "binary"}}
    most = settings.photos_per_client
    of_one = "" if most is None else f", or {most} of one client"
    answers = {
        "200": _answer("The stylized photo, of the photo's size.", {kind: image for kind in FORMATS.values()}),
        "400": _error("A field, a form or a photo that cannot be used."),
        **({"401": _error("The key is missing or wrong.")} if with_key else {}),
        "408": _error(f"The request took more than {settings.upload_seconds:g} s to arrive."),
        "413": _error(f"More than {settings.max_megabytes:g} MB or {settings.max_megapixels:g} megapixels."),
        "415": _error(f"The photo is none of {', '.join(settings.formats)}."),
        "429": _error(f"Too many photos are waiting{of_one}; Retry-After says when to come again."),
        "503": _error(
            "No memory or no room on the disk just now; Retry-After says when to come again. "
            f"In plain text and without Retry-After: {settings.connections} connections are open."
        ),
        "504": _error(f"The photo was not painted within {settings.seconds:g} s."),
    }
    text = {"text/plain": {"schema": {"type": "string"}}}
    answers["503"]["content"] |= text
    like = {**image["schema"], "description": "To be painted like, in place of `style`; a form's file."}
    properties = {"photo": image["schema"], "painting": like, **fields}
    form = {"type": "object", "required": ["photo"], "properties": properties}
    stylize = {
        "summary": "Stylize a photo",
        "description": "The photo is a form's file `photo`, or the whole body with the fields in the address. "
        "A form may have a file `painting` in place of a style: any picture, like which the photo is painted.",
        "parameters": [
            {
                "name": name,
                "in": "query",
                "schema": {key: value for key, value in field.items() if key != "description"},
            }
            | {"description": field["description"]}
            for name, field in fields.items()
        ],
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}, "image/*": image}},
        "responses": answers,
    }
    paths: dict[str, Any] = {
        "/v1/stylize": {"post": stylize},
        "/v1/styles": {
            "get": {"summary": "The styles that can be named", "responses": {"200": _answer("Names, by file.")}}
        },
        "/": {"get": {"summary": "The page in the browser", "responses": {"200": _answer("HTML.", {"text/html": {}})}}},
        "/livez": {"get": {"summary": "Whether the process answers", "responses": {"200": _answer("It does.", text)}}},
        "/readyz": {
            "get": {
                "summary": "Whether more requests are wanted",
                "responses": {"200": _answer("Yes.", text), "503": _answer("It is about to stop.", text)},
            }
        },
        "/metrics": {"get": {"summary": "Numbers for Prometheus", "responses": {"200": _answer("Numbers.", text)}}},
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "fastnst", "version": __version__, "description": "Photos in the style of paintings."},
        "paths": paths,
    }
    if with_key:
        document["components"] = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
        for path in ("/v1/stylize", "/v1/styles"):
            for operation in paths[path].values():
                operation["security"] = [{"key": []}]
    return document


def _fields(settings: ServeSettings) -> dict[str, dict[str, Any]]:
    return {
        "style": {
            "type": "string",
            "default": settings.style,
            "description": "A name of /v1/styles, or a mix of one file's styles: scream:0.6,starry_night:0.4.",
        },
        "strength": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "default": 1,
            "description": "From 0, the photo, to 1, the full style.",
        },
        "keep_colors": {"type": "boolean", "default": False, "description": "Keep the photo's colours."},
        "size": {"type": "integer", "minimum": 16, "description": "Shrink to this long side in pixels first."},
        "format": {"type": "string", "enum": list(FORMATS), "description": "Of the result; by default the photo's."},
        "quality": {"type": "integer", "minimum": 1, "maximum": 100, "description": "Of JPEG and WebP."},
    }


def _answer(description: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": description, "content": content or {"application/json": {"schema": {"type": "object"}}}}


def _error(description: str) -> dict[str, Any]:
    texts = {"error": {"type": "string"}, "request_id": {"type": "string"}}
    schema = {"type": "object", "properties": texts}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def page_of(document: dict[str, Any]) -> str:
    """The description as a page of HTML that loads nothing else."""
    parts = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(f"<h2><code>{method.upper()} {path}</code> {escape(operation['summary'])}</h2>")
            parts.append(f"<p>{escape(operation.get('description', '')).replace('`', '')}</p>")
            fields = [(each["name"], each["description"]) for each in operation.get("parameters", ())]
            parts.append(_table(("field", "meaning"), fields))
            answers = [(code, answer["description"]) for code, answer in operation["responses"].items()]
            parts.append(_table(("answer", "meaning"), answers))
    example = "curl -F photo=@photo.jpg -F style=scream http://127.0.0.1:8000/v1/stylize -o out.jpg"
    head = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    return (
        f"{head}<title>fastnst: the service</title><style>{_STYLE}</style>"
        f"<h1>fastnst</h1><p>Photos in the style of paintings. For programs: "
        f"<a href=openapi.json>openapi.json</a>.</p><pre>{example}</pre>{''.join(parts)}</html>"
    )


def _table(names: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><td><code>{escape(name)}</code><td>{escape(text)}" for name, text in rows)
    return f"<table><tr><th>{names[0]}<th>{names[1]}{lines}</table>"
