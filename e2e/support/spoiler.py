"""A proxy before a real API server, in plaintext over loopback, that can spoil what it passes on: for what a real server
never sends. Reads only; the agent dials it with a kubeconfig of its own."""
import http.client
import http.server
import threading


class Spoiler:
    """Passes GETs to `api` (its host and credentials). `line` is asked about every line of every watch and may return
    other bytes to send instead; an end of stream without a newline follows what it returns when that has none."""

    def __init__(self, api, port, directory):
        self.line = lambda target, text: text
        spoiler = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                spoiler._pass(self, api)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.kubeconfig = directory / "spoiler.kubeconfig"
        self.kubeconfig.write_text(f"""
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{}}}}]
""")

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def _pass(self, client, api):
        upstream = http.client.HTTPSConnection(api.host, context=api.context, timeout=700)
        try:
            upstream.request("GET", client.path, headers={"Accept": client.headers.get("Accept", "application/json")})
            answer = upstream.getresponse()
            client.send_response(answer.status)
            client.send_header("Content-Type", answer.getheader("Content-Type", "application/json"))
            client.send_header("Transfer-Encoding", "chunked")
            client.end_headers()
            watch = "watch=" in client.path
            while text := (answer.readline() if watch else answer.read(65536)):
                sent = self.line(client.path, text) if watch else text
                client.wfile.write(b"%x\r\n%s\r\n" % (len(sent), sent))
                client.wfile.flush()
                if watch and not sent.endswith(b"\n"):
                    break
            client.wfile.write(b"0\r\n\r\n")
        except OSError:
            client.close_connection = True  # one of the two hung up
        finally:
            upstream.close()
