"""A small client of the Kubernetes API over the standard library; shares nothing with the product."""
import base64
import http.client
import json
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

from e2e.support.system import ENV


class ApiError(Exception):
    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body[:300]}")
        self.status = status
        self.body = body


class Api:
    """The current context of a kubeconfig, with a client certificate or a token. Safe for several threads."""

    def __init__(self, kubeconfig):
        view = subprocess.run(["kubectl", "--kubeconfig", kubeconfig, "config", "view", "--raw", "--flatten", "--minify", "-o", "json"],
                              check=True, capture_output=True, env=ENV).stdout
        config = json.loads(view)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.host = urllib.parse.urlsplit(cluster["server"]).netloc
        self.context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        if "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile() as pair:
                pair.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
                pair.flush()
                self.context.load_cert_chain(pair.name)
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self._local = threading.local()

    def call(self, method, path, body=None, content_type="application/json", retry=True):
        """The decoded answer; raises ApiError, or OSError when there was none. Writes are never sent twice."""
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        connection = getattr(self._local, "connection", None)
        # A server closes what is idle (Kubernetes after 90 s), and a write must not meet that.
        if connection is None or time.monotonic() - self._local.used > 30:
            connection = http.client.HTTPSConnection(self.host, context=self.context, timeout=20)
            self._local.connection = connection
        self._local.used = time.monotonic()
        try:
            connection.request(method, path, data, self._headers | ({"Content-Type": content_type} if data else {}))
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
