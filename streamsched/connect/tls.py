"""Explains why a TLS connection failed and what to change."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

OURS = "our certificate (tls_cert)"

ALERTS = {
    "CERTIFICATE_REQUIRED": "the server requires a client certificate: give tls_cert",
    "UNKNOWN_CA": f"the server does not know the issuer of {OURS}",
    "CERTIFICATE_EXPIRED": f"the server says that {OURS} has expired",
    "CERTIFICATE_REVOKED": f"the server says that {OURS} has been revoked",
    "BAD_CERTIFICATE": f"the server does not accept {OURS}",
    "UNSUPPORTED_CERTIFICATE": f"the server does not accept {OURS}",
    "CERTIFICATE_UNKNOWN": f"the server does not accept {OURS}",
    "HANDSHAKE_FAILURE": "the server requires a client certificate, or shares no cipher with us",
    "PROTOCOL_VERSION": "the server uses another version of TLS",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS on that port: give redis://, or the port that does",
    "KEY_VALUES_MISMATCH": f"the key (tls_key) is not that of {OURS}",
    "NO_CERTIFICATE_OR_CRL_FOUND": "a file of certificates (tls_ca or tls_cert) holds none: give PEM",
    "PEM lib": "a file of certificates (tls_cert or tls_key) is not PEM, or has the wrong content",
}
"""By OpenSSL's name for the error."""


def refusal(problem: BaseException) -> str | None:
    """Return the reason if ``problem``, an error of a connection, is about certificates; otherwise ``None``.

    Waiting does not help against these errors.
    """
    for cause in _causes(problem):
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message
            return f"the server's certificate is not valid: {why}; give the right tls_ca, or the name it is for"
        if isinstance(cause, ssl.SSLError):
            return next((words for name, words in ALERTS.items() if name in str(cause)), None)
    return None


def hint(problem: BaseException) -> str:
    """Say what else may be wrong where a server hung up at once."""
    for cause in _causes(problem):
        if isinstance(cause, ssl.SSLError):
            return ""
        if isinstance(cause, ConnectionResetError):
            return " (if it speaks TLS there, give rediss://)"
    return ""


def _causes(problem: BaseException | None) -> Iterator[BaseException]:
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__
