"""python3 -m hub --root DIR: runs the stand-in until it is ended. Run in tests/."""
import argparse
import ssl
import threading
from pathlib import Path

from .samples import fill
from .server import Hub
from .store import Store
from .xet_write import Cas

parser = argparse.ArgumentParser(prog="hub", description="A hub stand-in on loopback.")
parser.add_argument("--root", type=Path, required=True, help="repositories and LFS bytes; filled with samples when new")
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--cdn-port", type=int, default=0)
parser.add_argument("--page-size", type=int, default=1000, help="entries of a tree page")
parser.add_argument("--no-xet", action="store_true", help="no Xet metadata")
parser.add_argument("--no-samples", action="store_true")
parser.add_argument("--part-size", type=int, help="LFS uploads above so many bytes come in parts of so many")
parser.add_argument("--cas", type=Path, help="program of a CAS, run behind /_cas")
parser.add_argument("--cas-direct", action="store_true", help="clients fetch ranges of xorbs from the CAS itself")
parser.add_argument("--tls-cert", type=Path)
parser.add_argument("--tls-key", type=Path)
parser.add_argument("--known-as", nargs=2, metavar="URL", help="how others reach the hub and its CDN")
arguments = parser.parse_args()

store = Store(arguments.root)
if not arguments.no_samples and not (arguments.root / "repos").exists():
    fill(store)
context = None
if arguments.tls_cert:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.tls_cert, arguments.tls_key)
    context.set_alpn_protocols(["h2", "http/1.1"])  # whoever takes h2 gets no answer that it understands
hub = Hub(store, arguments.port, arguments.cdn_port, arguments.page_size, not arguments.no_xet,
          host=arguments.host, tls=context, known_as=arguments.known_as,
          part_size=arguments.part_size,
          cas=Cas(arguments.cas, arguments.root / "cas") if arguments.cas else None, cas_direct=arguments.cas_direct)
hub.start()
print(f"hub {hub.url} cdn {hub.cdn_url}", flush=True)
threading.Event().wait()
