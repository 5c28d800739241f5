"""The sink of the Go rivals on a live API server: takes their stream over mTLS, and knows what it had of each object last."""
import concurrent.futures
import multiprocessing
import struct

import grpc

from e2e.support.tap import SERVICE, wire_classes

_PROCESSES = multiprocessing.get_context("spawn")


def _fields(payload):
    """Of one event, as bench/floor_frame.h has them: type, namespace, name, uid, resourceVersion, object."""
    at = 0
    while at < len(payload):
        size, = struct.unpack_from("<I", payload, at)
        yield payload[at + 4:at + 4 + size]
        at += 4 + size


class _Service(grpc.GenericRpcHandler):
    def __init__(self, directory, count):
        self._wire, self._count = wire_classes(directory), count
        self.objects, self.faults = {}, []

    def service(self, handler_call_details):
        if handler_call_details.method != SERVICE + "Changes":
            return None
        return grpc.stream_stream_rpc_method_handler(self._take)

    def _take(self, requests, context):
        for message in requests:
            batch = self._wire.ChangesUp.FromString(message).batch
            if batch.payload:
                self._enter(*_fields(batch.payload))
                self._count.value = len(self.objects)
        yield from ()

    def _enter(self, kind, namespace, name, uid, version, body):
        key = (namespace.decode(), name.decode())
        if kind == b"DELETED":
            self.objects.pop(key, None)
            return
        if int(version) <= self.objects.get(key, (0, ""))[0]:
            self.faults.append(f"{key}: {int(version)} after {self.objects[key][0]}")
        if uid not in body:
            self.faults.append(f"{key}: the body is of another object")
        self.objects[key] = (int(version), uid.decode())


def _serve(directory, files, port, count, ready, stop, out):
    service = _Service(directory, count)
    key, certificate, authority = (file.read_bytes() for file in files)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", 8 << 20)])
    server.add_generic_rpc_handlers((service,))
    server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True))
    server.start()
    ready.set()
    stop.wait()
    server.stop(grace=0).wait()
    out.send((service.objects, service.faults))


class Sink:
    """A process of its own on `port`. `files`: key, certificate, and who signed the clients' certificates."""

    def __init__(self, directory, files, port):
        directory.mkdir()
        self._count, ready, self._stop = _PROCESSES.Value("q", 0), _PROCESSES.Event(), _PROCESSES.Event()
        self._here, there = _PROCESSES.Pipe(False)
        self._process = _PROCESSES.Process(target=_serve, args=(directory, files, port, self._count, ready, self._stop, there), daemon=True)
        self._process.start()
        assert ready.wait(20), "the sink does not start"

    @property
    def count(self):
        """How many objects it has."""
        return self._count.value

    def close(self):
        """({(namespace, name): (resourceVersion, uid)}, faults)"""
        self._stop.set()
        result = self._here.recv()
        self._process.join()
        return result
