"""The proxy of servers' consoles: `nova-novncproxy` with three differences.

- A console is a process of its own and goes on when the one that listens ends, for a new configuration or release: that one would end
  them, and they would keep its socket. Each reads its certificate when it begins, so that a new one cuts nothing.
- They are forked. From Python 3.14 on a process is started anew by default, and what websockify hands to it cannot be.
- A host's certificate is verified. eventlet's `ssl.wrap_socket`, which is the only one since Python 3.12, takes `cert_reqs` for something else
  and accepts any certificate.
"""

# eventlet has to come first.
from nova import monkey_patch

monkey_patch.patch()

import multiprocessing  # noqa: E402
import os  # noqa: E402
import ssl  # noqa: E402
import sys  # noqa: E402

from websockify import websockifyserver  # noqa: E402


def wrap_socket(sock, *, keyfile, certfile, ca_certs, server_side, cert_reqs):
    """Return a socket that speaks TLS with a server whose certificate is one of these CAs', and shows its own."""
    if server_side:
        raise ValueError("only hosts are spoken with in this way")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nova knows a host by an address that its certificate need not have.
    context.check_hostname = False
    context.verify_mode = cert_reqs
    context.load_verify_locations(ca_certs)
    if certfile:
        context.load_cert_chain(certfile, keyfile)
    return context.wrap_socket(sock)


class Listening:
    """The socket that consoles are asked for at; it is the listening process's alone."""

    def __init__(self):
        self._socket = None
        self._make = websockifyserver.WebSockifyServer.socket

    def make(self, *arguments, **options):
        """Make a socket in websockify's way, and remember it where it listens."""
        made = self._make(*arguments, **options)
        if not (options.get("connect") or (len(arguments) > 2 and arguments[2])):  # noqa: PLR2004
            self._socket = made
        return made

    def leave(self):
        """Close it in a process that was forked."""
        if self._socket is not None:
            os.close(self._socket.fileno())
            self._socket = None


def main():
    """Do what nova-novncproxy does."""
    multiprocessing.set_start_method("fork")
    listening = Listening()
    websockifyserver.WebSockifyServer.socket = staticmethod(listening.make)
    os.register_at_fork(after_in_child=listening.leave)
    # At once, and without a word to the consoles.
    websockifyserver.WebSockifyServer.do_SIGTERM = lambda *_: os._exit(0)
    from nova.cmd import novncproxy  # noqa: PLC0415

    ssl.wrap_socket = wrap_socket
    sys.argv[0] = "nova-novncproxy"
    novncproxy.main()


if __name__ == "__main__":
    main()
