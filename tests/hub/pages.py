"""What a browser sees of the hub: a page with a script, a style and an image, and links to files."""
import struct
import zlib

SCRIPT = b"""document.addEventListener("DOMContentLoaded", () => {
  const image = document.querySelector("img");
  image.decode().then(() => {
    document.body.dataset.seen = `${image.naturalWidth}x${image.naturalHeight} ${getComputedStyle(document.body).color}`;
  });
});
"""
STYLE = b"body { color: rgb(1, 2, 3); }\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int) -> bytes:
    rows = b"".join(b"\0" + b"\x40\x80\xc0" * width for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


PARTS = {"app.js": ("text/javascript; charset=utf-8", SCRIPT), "app.css": ("text/css", STYLE), "logo.png": ("image/png", png(7, 5))}


def page(name: str) -> bytes:
    return (f"<!doctype html><html><head><title>hub {name}</title><link rel='stylesheet' href='/front/app.css'>"
            f"<script src='/front/app.js'></script></head><body><h1>{name}</h1><img src='/front/logo.png' alt='logo'>"
            f"<a id='file' href='/{name}/resolve/main/model.safetensors?download=true'>model.safetensors</a>"
            f"<a id='pickle' href='/{name}/resolve/main/model.pkl'>model.pkl</a></body></html>").encode()
