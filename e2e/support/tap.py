"""A wire tap between agents and an endpoint that talk in plaintext over loopback: it passes every message on and keeps a
decoded copy. The decoder is its own: classes made by protoc from the published .proto, and Python's zstandard."""
import base64
import concurrent.futures
import importlib.util
import subprocess
import threading

import grpc
import zstandard

from e2e.support.system import ROOT

SERVICE = "/fairlead.agent.v1.AgentService/"
HISTORY = 16 << 10  # bytes of the payloads before that prefix the next
CODEC_NONE, CODEC_ZSTD = 1, 2


def wire_classes(directory):
    """The module agent_pb2, generated into `directory`."""
    source = ROOT / "api/fairlead/agent/v1"
    subprocess.run(["protoc", f"-I{source}", f"--python_out={directory}", source / "agent.proto"], check=True)
    spec = importlib.util.spec_from_file_location("agent_pb2", directory / "agent_pb2.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Tap(grpc.GenericRpcHandler):
    """Listens on `port` of loopback and relays to `target`. Messages are (rpc, "up" or "down", message), in `messages`;
    the payload of each batch, decompressed and decoded, in `payloads`; `undecoded` counts what could not be read."""

    def __init__(self, port, target, directory):
        self.wire = wire_classes(directory)
        self._lock = threading.Lock()
        self.undecoded = 0
        self.clear()
        self._types = {("Enroll", "up"): self.wire.EnrollRequest, ("Enroll", "down"): self.wire.EnrollResponse,
                       ("Control", "up"): self.wire.ControlUp, ("Control", "down"): self.wire.ControlDown,
                       ("Changes", "up"): self.wire.ChangesUp, ("Changes", "down"): self.wire.ChangesDown,
                       ("Exchange", "up"): self.wire.ExchangeUp, ("Exchange", "down"): self.wire.ExchangeDown}
        self._histories = {}  # of (account, term): the last of its prefixed payloads
        # A subchannel of its own for each tap, and no waiting after the endpoint was away.
        self._channel = grpc.insecure_channel(target, [("grpc.max_receive_message_length", 8 << 20), ("grpc.use_local_subchannel_pool", 1),
                                                       ("grpc.max_reconnect_backoff_ms", 200)])
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", 8 << 20)])
        self._server.add_generic_rpc_handlers((self,))
        assert self._server.add_insecure_port(f"127.0.0.1:{port}") == port
        self._server.start()

    def clear(self):
        """Forgets what passed so far. `bytes_up`: batches of agents as they were sent, since then."""
        with self._lock:
            self.messages, self.payloads, self.bytes_up = [], [], 0

    def stop(self):
        self._server.stop(grace=0).wait()
        self._channel.close()

    def service(self, handler_call_details):
        method = handler_call_details.method
        return grpc.stream_stream_rpc_method_handler(lambda requests, context: self._relay(method, requests, context))

    def _relay(self, method, requests, context):
        rpc = method.removeprefix(SERVICE)

        def upwards():
            pieces = bytearray()  # of a message in fragments
            for message in requests:
                self._record(rpc, "up", message, pieces)
                yield message
        own = [(key, value) for key, value in context.invocation_metadata() if key.startswith("fairlead-")]
        call = self._channel.stream_stream(method)(upwards(), metadata=own)
        context.add_callback(call.cancel)
        try:
            for message in call:
                self._record(rpc, "down", message)
                yield message
        except grpc.RpcError:
            context.abort(call.code(), call.details())

    def _record(self, rpc, direction, data, pieces=None):
        bulk = (rpc, direction) == ("Changes", "up")
        try:
            message = self._types[rpc, direction].FromString(data)
            if bulk and message.HasField("fragment"):
                pieces += message.fragment.data
                if message.fragment.last:
                    message = self.wire.ChangesUp.FromString(bytes(pieces))
                    pieces.clear()
            payload = self._payload(message.batch) if bulk and message.HasField("batch") else None
        except Exception:  # whatever it is, the check below must not pass because of it
            with self._lock:
                self.undecoded += 1
            raise
        with self._lock:
            self.messages.append((rpc, direction, message))
            self.bytes_up += len(data) if bulk else 0
            if payload is not None:
                self.payloads.append(payload)

    def _payload(self, batch):
        raw = batch.payload
        if batch.codec == CODEC_ZSTD:
            known = self._histories.get((batch.account_uid, batch.term), b"") if batch.prefixed else b""
            prefix = zstandard.ZstdCompressionDict(known, zstandard.DICT_TYPE_RAWCONTENT) if known else None
            raw = zstandard.ZstdDecompressor(dict_data=prefix).decompress(raw, max_output_size=16 << 20)
            if batch.prefixed:
                self._histories[batch.account_uid, batch.term] = (known + raw)[-HISTORY:]
        elif batch.codec != CODEC_NONE:
            raise ValueError(f"codec {batch.codec}")
        return self.wire.Payload.FromString(raw)

    def upserts(self):
        """Every object body that passed, as ((group, resource), namespace, name, body). A page's kind is its snapshot's."""
        with self._lock:
            payloads = list(self.payloads)
        kind_of = {}
        for payload in payloads:
            names = [(kind.group, kind.resource) for kind in payload.kinds]
            for entry in payload.entries:
                which = entry.WhichOneof("entry")
                if which == "change" and entry.change.body:
                    yield names[entry.change.kind], entry.change.name_space, entry.change.name, entry.change.body
                elif which == "snapshot_begin":
                    kind_of[entry.snapshot_begin.snapshot_id] = names[entry.snapshot_begin.kind]
                elif which == "snapshot_page":
                    for item in entry.snapshot_page.items:
                        if item.body:
                            yield kind_of[entry.snapshot_page.snapshot_id], item.name_space, item.name, item.body

    def everything(self):
        """All bytes that passed, decompressed, as one text to search."""
        with self._lock:
            return b"\n".join([message.SerializeToString() for _, _, message in self.messages] +
                              [payload.SerializeToString() for payload in self.payloads])


def traces(canary):
    """Byte strings of which one is in any text that holds the canary (text or bytes), in the clear, in hex, or in base64 at
    any offset."""
    raw = canary if isinstance(canary, bytes) else canary.encode()
    found = [raw, raw.hex().encode()]
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw)
        # The first and last groups also hold neighbouring bytes.
        found.append(text[4 if before else 0:len(text) - 4])
    return found
