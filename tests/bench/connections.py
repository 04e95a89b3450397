"""connections.py: memory of the gate with 1,000 idle and 200 busy TLS connections.

The idle ones have asked for a listing and are kept. Of the busy ones 40 pull an object each that nobody
has judged yet (a fetch and a scan each), 120 pull objects that were judged (fetched again, each MiB
compared), and 40 ask for listings as fast as they are answered. The pulls take a megabyte a second, so
that all of them wait for their client most of the time, with what they hold in memory. Prints the PSS
of gate, signer and workers: at its start, with the idle ones, at its peak. Exits 1 when it is too much,
or when a connection was refused, cut or given other bytes.
"""
from __future__ import annotations

import asyncio
import ssl
import sys
import time

from measure import WORK, pss_bytes, table, verdict
from proxy import INFO, BenchGate, certificate, model, upstream

IDLE, FIRST, LATER, LISTINGS = 1000, 40, 120, 40
JUDGED = 8
SIZE = 64 << 20
RATE = 1_000_000   # bytes a second
SECONDS = 20       # that everything is watched


def url_of(name: str) -> str:
    return f"/bench/{name}/resolve/main/model.safetensors"


class Client:
    """One connection. `wrong` says what was not as it should be."""

    def __init__(self, port: int, trust: ssl.SSLContext, wrong: list[str]):
        self.port, self.trust, self.wrong = port, trust, wrong

    async def open(self) -> "Client":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trust, limit=1 << 16)
        return self

    async def ask(self, url: str) -> int:
        self.writer.write(f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if not head.startswith("http/1.1 200"):
            raise ValueError(head.splitlines()[0])
        return int(head.split("content-length: ")[1].split("\r\n")[0])

    async def listing(self) -> None:
        await self.reader.readexactly(await self.ask(INFO))

    async def listings(self, until: float) -> None:
        try:
            while time.monotonic() < until:
                await self.listing()
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            self.wrong.append(f"listing: {error!r}")

    async def slowly(self, url: str, expected: bytes, until: float) -> None:
        """Takes RATE bytes a second of the object, and compares them."""
        try:
            left, at, started = await self.ask(url), 0, time.monotonic()
            while left and time.monotonic() < until:
                data = await self.reader.read(1 << 16)
                if not data:
                    raise ValueError("cut")
                known = expected[at:at + len(data)]
                if data != known + bytes(len(data) - len(known)):
                    raise ValueError("other bytes")
                at, left = at + len(data), left - len(data)
                await asyncio.sleep(max(0.0, started + at / RATE - time.monotonic()))
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            self.wrong.append(f"{url}: {error!r}")


async def run(gate: BenchGate, heads: dict[str, bytes]) -> tuple[list[list], int, list[str]]:
    trust = ssl.create_default_context(cafile=str(WORK / "cert.pem"))
    wrong: list[str] = []

    async def connect() -> Client:
        return await Client(gate.port, trust, wrong).open()

    for number in range(JUDGED):  # judged by a first pull
        client = await connect()
        await client.reader.readexactly(await client.ask(url_of(f"judged{number}")))
        client.writer.close()
    await asyncio.sleep(3)  # what a busy connection needed is given back
    rows, busy = [["at the start", pss_bytes(gate.process.pid) / 1e6]], []
    idle = []
    for _ in range(IDLE):
        idle.append(await connect())
        await idle[-1].listing()
    await asyncio.sleep(3)
    rows.append([f"with {IDLE} idle", pss_bytes(gate.process.pid) / 1e6])
    clients = await asyncio.gather(*(connect() for _ in range(FIRST + LATER + LISTINGS)))
    until = time.monotonic() + SECONDS
    for number, client in enumerate(clients):
        if number < FIRST + LATER:
            name = f"first{number}" if number < FIRST else f"judged{number % JUDGED}"
            busy.append(asyncio.create_task(client.slowly(url_of(name), heads[name], until)))
        else:
            busy.append(asyncio.create_task(client.listings(until)))
    peak = 0
    while time.monotonic() < until:
        peak = max(peak, await asyncio.to_thread(pss_bytes, gate.process.pid))
        await asyncio.sleep(0.5)
    await asyncio.gather(*busy)
    for client in idle:  # none was given up meanwhile
        try:
            await client.listing()
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            wrong.append(f"idle: {error!r}")
    rows.append([f"and {len(busy)} busy, at the peak", peak / 1e6])
    return rows, peak, wrong


def main() -> int:
    WORK.mkdir(parents=True, exist_ok=True)
    certificate()
    files, heads = {}, {}
    for name in [f"judged{number}" for number in range(JUDGED)] + [f"first{number}" for number in range(FIRST)]:
        path = WORK / f"{name}.safetensors"
        files[url_of(name)] = (path, model(path, SIZE, name, sparse=True))
        with path.open("rb") as file:
            heads[name] = file.read(4096)
    (WORK / "connections.yaml").write_text("limits: {connections: 2000, idle: 10m}\n")
    hub = upstream(files)
    gate = BenchGate(hub.port, "--config", str(WORK / "connections.yaml"))
    try:
        rows, peak, wrong = asyncio.run(run(gate, heads))
    finally:
        gate.stop()
        hub.stop()
        for path, _ in files.values():
            path.unlink()
    table("memory by connections", ["", "PSS MB"], rows)
    for line in wrong[:10]:
        print(f"  {line}")
    good = verdict("connections that were refused, cut or wrong", len(wrong), 0)
    return 0 if verdict("PSS of gate and workers at its peak, MB", peak / 1e6, 300) and good else 1


if __name__ == "__main__":
    sys.exit(main())
