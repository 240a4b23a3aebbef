"""A server that speaks TLS and asks its clients for certificates, and certificates: right, foreign, too old."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from streamsched.server.embedded import EmbeddedServer, free_port

PEM, PKCS8 = Encoding.PEM, PrivateFormat.PKCS8
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


class Certificates:
    """Files of certificates: ``ca.pem``, and for each name given a ``.pem`` with certificate and key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ours, self.foreign = trustme.CA(), trustme.CA()
        self.ours.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.foreign.cert_pem.write_to_path(str(folder / "foreign-ca.pem"))
        self.issue("server", self.ours, "127.0.0.1", "localhost")
        self.issue("elsewhere", self.ours, "elsewhere.example")
        self.issue("old-server", self.ours, "127.0.0.1", expires=LONG_AGO)
        self.issue("client", self.ours, "client.example")
        self.issue("foreign", self.foreign, "client.example")
        self.issue("old", self.ours, "client.example", expires=LONG_AGO)
        key = load_pem_private_key(self["client-key"].read_bytes(), None)
        self["sealed-key"].write_bytes(key.private_bytes(PEM, PKCS8, BestAvailableEncryption(b"geheim")))

    def issue(self, name: str, by: trustme.CA, *hosts: str, expires: datetime.datetime | None = None) -> None:
        """Write a certificate and its key, into one file and into two."""
        made = by.issue_cert(*hosts, not_after=expires)
        made.private_key_and_cert_chain_pem.write_to_path(str(self[name]))
        made.private_key_pem.write_to_path(str(self[f"{name}-key"]))
        made.cert_chain_pems[0].write_to_path(str(self[f"{name}-cert"]))

    def __getitem__(self, name: str) -> Path:
        return self.folder / f"{name}.pem"


def tls_options(certificates: Certificates, name: str = "server") -> dict[str, str]:
    """Return what makes a server speak TLS on a port of its own, and ask for certificates there."""
    return {
        "tls-port": str(free_port()),
        "tls-cert-file": str(certificates[f"{name}-cert"]),
        "tls-key-file": str(certificates[f"{name}-key"]),
        "tls-ca-cert-file": str(certificates["ca"]),
        "tls-auth-clients": "yes",
    }


@contextmanager
def over_tls(binary: Path, certificates: Certificates, name: str = "server") -> Iterator[tuple[EmbeddedServer, str]]:
    """Yield a running server, and its ``rediss://`` URL; it also speaks plainly, on its usual port."""
    with EmbeddedServer(binary=binary, options=tls_options(certificates, name)) as server:
        yield server, f"rediss://127.0.0.1:{server.options['tls-port']}"
