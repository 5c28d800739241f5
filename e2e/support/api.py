"""A small client of the Kubernetes API over the standard library; shares nothing with the product."""
import base64
import http.client
import json
import ssl
import tempfile
import threading
import urllib.parse


class ApiError(Exception):
    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body[:300]}")
        self.status = status
        self.body = body


class Api:
    """One kubeconfig with inline certificates (as tools/cluster writes it). Safe for several threads."""

    def __init__(self, kubeconfig):
        self._text = open(kubeconfig, encoding="utf-8").read()
        server = self._field("server:").strip('"').rstrip("\",")
        self.host = urllib.parse.urlsplit(server).netloc
        self._context = ssl.create_default_context(cadata=self._data("certificate-authority-data:").decode())
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(self._data("client-certificate-data:") + b"\n" + self._data("client-key-data:"))
            pair.flush()
            self._context.load_cert_chain(pair.name)
        self._local = threading.local()

    def _field(self, name):
        return self._text.split(name, 1)[1].split(",")[0].split("}")[0].strip()

    def _data(self, name):
        return base64.b64decode(self._field(name))

    def call(self, method, path, body=None, content_type="application/json", retry=True):
        """The decoded answer; raises ApiError, or OSError when there was none. Writes are never sent twice."""
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPSConnection(self.host, context=self._context, timeout=20)
            self._local.connection = connection
        try:
            connection.request(method, path, data, {"Content-Type": content_type} if data else {})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._local.connection = None
            if method == "GET" and retry:  # a kept connection that the server has closed since
                return self.call(method, path, body, content_type, retry=False)
            raise OSError(str(error)) from error
        if response.status >= 300:
            raise ApiError(response.status, text.decode(errors="replace"))
        return json.loads(text) if text else {}

    def list_all(self, path):
        """Every item of a collection from a fresh quorum list, page by page."""
        items, token = [], ""
        while True:
            page = self.call("GET", f"{path}?limit=1000&continue={urllib.parse.quote(token)}")
            items += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return items
