"""An endpoint's rows, read in one of two ways: from its SQLite file, or through its REST API where the file is elsewhere."""
import base64
import http.client
import json
import pathlib
import re
import sqlite3
import ssl
import subprocess
import tempfile
import urllib.parse

from e2e.support import verdict
from e2e.support.scope import Scope
from e2e.support.system import ENV


class Rows:
    """The SQLite file, where the kubelet of one of our clusters keeps the pod's volume."""
    said = "every row in the endpoint's SQLite file"

    def __init__(self, hub):
        uid = hub.kubectl("-n", "fairlead", "get", "pod", "-l", "app.kubernetes.io/name=fairlead-endpoint", "-o",
                          "jsonpath={.items[0].metadata.uid}")
        self.path = hub.state / f"kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/data/fairlead.db"
        self.connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None)

    def version(self, account, resource, namespace, name):
        row = self.connection.execute(
            "SELECT resource_version FROM account_objects WHERE account = ? AND resource = ? AND namespace = ? AND name = ?",
            (account, resource, namespace, name)).fetchone()
        return None if row is None else int(row[0])

    def count(self, account, resource=None, namespace=None):
        query, values = "SELECT count(*) FROM account_objects WHERE account = ?", [account]
        for column, value in (("resource", resource), ("namespace", namespace)):
            if value is not None:
                query += f" AND {column} = ?"
                values.append(value)
        return self.connection.execute(query, values).fetchone()[0]

    def differences(self, account, api):
        return verdict.differences(self.path, account, api)

    def close(self):
        self.connection.close()


class ServedRows:
    """What the endpoint's REST API says, over `kubectl port-forward`, with a viewer's certificate of the fleet's own CA."""
    said = "every row as the endpoint serves it"

    def __init__(self, hub):
        with tempfile.TemporaryDirectory() as scratch:
            self._context = self._make_context(hub, pathlib.Path(scratch))
        self._forward = subprocess.Popen(
            ["kubectl", "--kubeconfig", str(hub.kubeconfig), "-n", "fairlead", "port-forward", "service/fairlead-endpoint", ":8443"],
            env=ENV, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
        port = re.search(r"127\.0\.0\.1:(\d+)", self._forward.stdout.readline())
        if port is None:
            self._forward.kill()
            raise AssertionError("kubectl port-forward to the endpoint does not start")
        self._port = int(port.group(1))
        self._connection = self._connect()

    @staticmethod
    def _make_context(hub, scratch):
        secret = hub.get("-n", "fairlead", "secret", "fairlead-ca")["data"]
        for name in ("tls.crt", "tls.key"):
            (scratch / name).write_bytes(base64.b64decode(secret[name]))
        made = ["-subj", "/CN=demo", "-addext", "subjectAltName=URI:spiffe://fairlead/role/viewer"]
        subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *made,
                        "-keyout", scratch / "key", "-out", scratch / "csr"], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", scratch / "csr", "-CA", scratch / "tls.crt", "-CAkey", scratch / "tls.key",
                        "-days", "1", "-copy_extensions", "copy", "-out", scratch / "crt"], check=True, capture_output=True)
        context = ssl.create_default_context(cafile=scratch / "tls.crt")
        context.check_hostname = False  # dialled as 127.0.0.1; the CA is this fleet's and signs nothing else
        context.load_cert_chain(scratch / "crt", scratch / "key")
        return context

    def _connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self._port, context=self._context, timeout=20)

    def _get(self, path, **query):
        target = f"{path}?{urllib.parse.urlencode(query)}"
        try:
            self._connection.request("GET", target)
            answer = self._connection.getresponse()
        except (OSError, http.client.HTTPException):  # a kept connection that was closed since
            self._connection.close()
            self._connection = self._connect()
            self._connection.request("GET", target)
            answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise AssertionError(f"GET {path}: HTTP {answer.status}: {text[:300]}")
        return json.loads(text)

    def _objects(self, **query):
        token = ""
        while True:
            page = self._get("/v1/objects", limit=500, **{"continue": token}, **query)
            yield from page["objects"]
            token = page["continue"]
            if not token:
                return

    def version(self, account, resource, namespace, name):
        found = list(self._objects(account=account, kind=resource, namespace=namespace, name=name))
        return int(found[0]["resourceVersion"]) if found else None

    def count(self, account, resource="", namespace=""):
        return sum(1 for _ in self._objects(account=account, kind=resource, namespace=namespace))

    def differences(self, account, api):
        scope = Scope(self._get(f"/v1/accounts/{account}")["spec"])
        rows = {(one["group"], one["resource"]): {} for one in self._get(f"/v1/accounts/{account}/freshness")["watches"]}
        for one in self._objects(account=account, body="true"):
            own = rows.setdefault((one["group"], one["resource"]), {})
            own[one["namespace"], one["name"]] = verdict.Row(one["uid"], one["body"], one["held"], hash_matches=True)
        return verdict.judge(scope, rows, api)

    def close(self):
        self._connection.close()
        self._forward.kill()
        self._forward.wait()
