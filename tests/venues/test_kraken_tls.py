"""What is posted to a stream under TLS, which has a buffer of its own below the one that a connection tells of."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signalist.venues.transport.sockets import NotUp, Wire
from tests.venues.kraken_bench import QUICK
from tests.venues.loopback_bench import until

HERE = "127.0.0.1"


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's, for a certificate of this machine that nobody else believes."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    begun, alternative = datetime.now(UTC), x509.SubjectAlternativeName([x509.IPAddress(ip_address(HERE))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begun, begun + timedelta(days=1))
    signed = builder.add_extension(alternative, critical=True).sign(key, hashes.SHA256())
    certificate = signed.public_bytes(serialization.Encoding.PEM)
    terms = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    both = folder / "both.pem"
    both.write_bytes(key.private_bytes(serialization.Encoding.PEM, *terms) + certificate)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(both)
    return theirs, ssl.create_default_context(cadata=certificate.decode())


async def poured(wire: Wire) -> int:
    """How many messages a connection has taken from which nobody reads, before it was given up."""
    taken = 0
    try:
        while taken < 10_000:
            await wire.post("x" * 30_000)
            taken += 1
    except NotUp:
        return taken
    raise AssertionError("It takes whatever it is given.")


async def test_what_a_full_connection_did_not_take_whole_never_arrives(tmp_path: Path) -> None:
    arrived: list[int] = []
    at: list[web.Request] = []
    ended: list[bool] = []

    async def serve(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        at.append(request)
        async for message in ws:
            arrived.append(len(message.data))  # noqa: PERF401 what arrived before it broke
        ended.append(True)
        return ws

    theirs, ours = contexts(tmp_path)
    app = web.Application()
    app.router.add_get("/v2", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, HERE, 0, ssl_context=theirs).start()
    async with aiohttp.ClientSession() as session:
        ws = await session.ws_connect(f"wss://{HERE}:{runner.addresses[0][1]}/v2", ssl=ours)
        await until(lambda: bool(at))
        transport = at[0].transport
        assert transport is not None
        transport.pause_reading()
        posted = await poured(Wire(ws, QUICK, str))
        transport.resume_reading()
        await until(lambda: bool(ended))
        assert arrived == [30_000] * posted and posted > 2
    await runner.cleanup()
