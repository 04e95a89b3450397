"""LFS uploads in parts: signed links to the CDN for each part, and a completion at the hub. Like an
object store it believes what it is given: nothing is hashed here."""
from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
from pathlib import Path

from .wire import Reply, json_reply


def folder(handler, upload: str) -> Path:
    return handler.hub.store.root / "parts" / upload


def begin(handler, oid: str, size: int) -> dict:
    """The upload action of the batch answer."""
    upload, chunk = uuid.uuid4().hex, handler.hub.part_size
    folder(handler, upload).mkdir(parents=True)
    header = {"chunk_size": str(chunk)}
    for number in range(1, (size + chunk - 1) // chunk + 1):
        header[f"{number:05d}"] = handler.hub.sign(f"/parts/{upload}/{number}")
    return {"href": f"{handler.hub.url}/api/complete_multipart/{upload}?oid={oid}", "header": header}


def put_part(handler) -> Reply:
    _, _, upload, number = handler.raw_path.split("/")
    place = folder(handler, upload)
    if not place.exists():
        return Reply(404, {"Content-Type": "application/xml"}, b"<Error><Code>NoSuchUpload</Code></Error>")
    digest = hashlib.md5()
    with tempfile.NamedTemporaryFile(dir=place, delete=False) as file:
        for piece in handler.body_pieces():
            digest.update(piece)
            file.write(piece)
    Path(file.name).rename(place / number)
    (place / f"{number}.etag").write_text(f'"{digest.hexdigest()}"')
    return Reply(200, {"ETag": f'"{digest.hexdigest()}"'})


def complete(handler, upload: str) -> Reply:
    request, place = json.loads(handler.read_body()), folder(handler, upload)
    if not place.exists():
        return json_reply({"error": "NoSuchUpload"}, 404)
    for part in request["parts"]:
        if (place / f"{part['partNumber']}.etag").read_text() != part["etag"]:
            return json_reply({"error": "InvalidPart"}, 400)
    path = handler.hub.store.lfs_path(request["oid"])
    path.parent.mkdir(parents=True, exist_ok=True)
    with (place / "whole").open("wb") as whole:
        for part in request["parts"]:
            whole.write((place / str(part["partNumber"])).read_bytes())
    (place / "whole").rename(path)
    for rest in place.iterdir():
        rest.unlink()
    place.rmdir()
    return json_reply({"success": True})
