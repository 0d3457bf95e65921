"""A proxy in front of an LDAP server that stops at the modify request.

What happens between a connector's last look and its change cannot be timed from
outside; here a test decides it.  One of:

    proxy.before_modify = function    called first, then the request is passed on
    proxy.before_answer = function    the server has done it; called before the
                                      answer is passed on
    proxy.lose = "request"            the line is cut, the server sees nothing
    proxy.lose = "answer"             the server does it, then the line is cut
    proxy.lose = "silence"            the server sees nothing, and nothing is cut

A function that raises OSError cuts the line.
"""
import socket
import threading

MODIFY_REQUEST, MODIFY_RESPONSE = 0x66, 0x67


class _Lost(Exception):
    pass


def _exactly(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise _Lost
        data += more
    return data


def _message(sock):
    """One LDAPMessage and the tag of its operation."""
    head = _exactly(sock, 2)
    length = head[1]
    if length & 0x80:
        more = _exactly(sock, length & 0x7F)
        head += more
        length = int.from_bytes(more, "big")
    body = _exactly(sock, length)
    return head + body, body[2 + body[1]]


class Proxy:
    def __init__(self, port, host="127.0.0.1"):
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.before_modify = None
        self.before_answer = None
        self.lose = None
        self.modify_requests = 0
        self.seen = b""  # everything that clients have sent
        self._lines = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"ldap://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:  # the server is down; it may come back
                client.close()
                continue
            self._lines += [client, server]
            for work in (self._upward, self._downward):
                threading.Thread(target=self._pump, daemon=True,
                                 args=(work, client, server)).start()

    @staticmethod
    def _pump(work, client, server):
        try:
            while True:
                work(client, server)
        except (_Lost, OSError):
            for line in (client, server):
                try:
                    line.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _upward(self, client, server):
        message, tag = _message(client)
        self.seen += message
        if tag == MODIFY_REQUEST:
            self.modify_requests += 1
            if self.before_modify:
                self.before_modify()
            if self.lose == "request":
                raise _Lost
            if self.lose == "silence":
                return
        server.sendall(message)

    def _downward(self, client, server):
        message, tag = _message(server)
        if tag == MODIFY_RESPONSE:
            if self.before_answer:
                self.before_answer()
            if self.lose == "answer":
                raise _Lost
        client.sendall(message)

    def close(self):
        self._listener.close()
        for line in self._lines:
            line.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
