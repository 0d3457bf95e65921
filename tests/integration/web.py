"""HTTPS and mail servers for tests, with certificates of an authority of their
own that openssl makes.  They answer as each test tells them to."""
import collections
import http.server
import json
import pathlib
import socket
import ssl
import threading

from harness import run


class Ca:
    """A certificate authority in a folder; issue(name) makes a server's key."""

    def __init__(self, folder, name="Test CA"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cert = self.folder / "ca.crt"
        self.key = self.folder / "ca.key"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out",
            self.cert, "-days", "2", "-subj", f"/CN={name}", "-addext",
            "basicConstraints=critical,CA:TRUE", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name="server", alt="DNS:localhost,IP:127.0.0.1", days=2):
        """(certificate, key) as files."""
        key = self.folder / f"{name}.key"
        cert = self.folder / f"{name}.crt"
        request = self.folder / f"{name}.csr"
        extra = self.folder / f"{name}.ext"
        extra.write_text(f"subjectAltName={alt}\n"
                         "basicConstraints=critical,CA:FALSE\n"
                         "keyUsage=critical,digitalSignature\n")
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
            request, "-subj", f"/CN={name}")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.cert,
            "-CAkey", self.key, "-CAcreateserial", "-days", days, "-out", cert,
            "-extfile", extra)
        return cert, key


class Server:
    """An HTTPS server (HTTP without a certificate) on a port of its own.

    pages: path -> what to answer, (status, headers, bytes) or a function of
    the handler that returns it or answers by itself (None).  asked counts the
    paths, bodies has what was posted."""

    def __init__(self, cert=None, key=None, pages=None):
        self.pages = dict(pages or {})
        self.asked = collections.Counter()
        self.bodies = []
        self.headers = []
        self.released = threading.Event()  # what holds an answer waits for it
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers by the pages of its server."""
            protocol_version = "HTTP/1.1"

            def answer(self):
                outer.asked[self.path] += 1
                size = int(self.headers.get("Content-Length") or 0)
                outer.bodies.append(self.rfile.read(size))
                outer.headers.append(dict(self.headers.items()))
                page = outer.pages.get(self.path, (404, {}, b"nothing"))
                reply = page(self) if callable(page) else page
                if reply is None:
                    self.close_connection = True
                    return
                status, headers, body = reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            """Peers that leave early are no news."""
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.tls = cert is not None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self.http.socket = context.wrap_socket(
                self.http.socket, server_side=True,
                do_handshake_on_connect=False)
        self.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever,
                                       kwargs={"poll_interval": 0.05},
                                       daemon=True)
        self.thread.start()

    def url(self, path="/", host="127.0.0.1"):
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{host}:{self.port}{path}"

    def json(self, path, value, **headers):
        """Sets a page to a JSON document."""
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        self.pages[path] = (200, {"Content-Type": "application/json", **named},
                            json.dumps(value).encode())

    def close(self):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Mailbox:
    """A small SMTP server (RFC 5321, 3207) that keeps what it is given:
    mode "plain", "starttls" or "tls"."""

    def __init__(self, mode="starttls", cert=None, key=None, refuse=()):
        self.mode = mode
        self.refuse = set(refuse)
        self.mails = []  # (from, [to], text)
        self.said = []
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(cert, key)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self):
        scheme = "smtps" if self.mode == "tls" else "smtp"
        return f"{scheme}://127.0.0.1:{self.port}"

    def _serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk_safely, args=(peer,),
                             daemon=True).start()

    def _talk_safely(self, peer):
        try:
            self._talk(peer)
        except (OSError, ssl.SSLError):
            pass
        finally:
            peer.close()

    def _talk(self, peer):
        if self.mode == "tls":
            peer = self.context.wrap_socket(peer, server_side=True)
        stream = peer.makefile("rwb")
        sender, to = None, []

        def say(text):
            stream.write(text.encode() + b"\r\n")
            stream.flush()

        say("220 test")
        secure = self.mode != "starttls"
        while line := stream.readline():
            words = line.decode(errors="replace").strip()
            self.said.append(words)
            verb = words.split(" ")[0].upper()
            if verb == "EHLO":
                offers = ["test", "AUTH PLAIN"]
                if not secure and self.context:
                    offers.append("STARTTLS")
                for i, offer in enumerate(offers):
                    say(f"250{' ' if i == len(offers) - 1 else '-'}{offer}")
            elif verb == "STARTTLS":
                say("220 go on")
                peer = self.context.wrap_socket(peer, server_side=True)
                stream = peer.makefile("rwb")
                secure = True
            elif verb == "AUTH":
                if len(words.split(" ")) < 3:
                    say("334 ")
                    stream.readline()
                say("235 fine")
            elif verb == "MAIL":
                sender = words.partition("<")[2].partition(">")[0]
                say("250 fine")
            elif verb == "RCPT":
                address = words.partition("<")[2].partition(">")[0]
                if address in self.refuse:
                    say("550 not here")
                    continue
                to.append(address)
                say("250 fine")
            elif verb == "DATA":
                say("354 go on")
                lines = []
                while (got := stream.readline()) not in (b".\r\n", b""):
                    lines.append(got[1:] if got.startswith(b".") else got)
                self.mails.append((sender, to, b"".join(lines)))
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("500 what")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
