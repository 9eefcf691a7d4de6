"""Does a platform answer? Asked with the standard library alone, so that it costs little."""

import http.client
import ssl
import urllib.parse

_PATIENCE_SECONDS = 5.0


def answers(url: str) -> bool:
    """Return whether an API server answers at a URL, whatever it says.

    Args:
        url: ``https://HOST:PORT``; its certificate is not looked at, since nothing secret is sent.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or parts.hostname is None:
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(
        parts.hostname, parts.port, timeout=_PATIENCE_SECONDS, context=context
    )
    try:
        connection.request("GET", "/livez")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
