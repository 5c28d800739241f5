"""An agent that a test speaks for, over an endpoint's plaintext port: for what no agent of ours would say."""
import hashlib
import itertools
import queue
import threading

import grpc

from e2e.support.tap import CODEC_NONE, SERVICE, wire_classes
from e2e.support.system import wait_for


class ScriptedAgent:
    """`reads`: whether it ever reads what the endpoint answers. Then `down` has it, by stream."""

    def __init__(self, directory, endpoint, identity, instance, reads=True):
        directory.mkdir(parents=True, exist_ok=True)
        self.wire = wire_classes(directory)
        self._endpoint, self._identity, self._reads = f"127.0.0.1:{endpoint.agents}", identity, reads
        self._channel = grpc.insecure_channel(self._endpoint, [("grpc.use_local_subchannel_pool", 1)])
        self.down = {"Control": [], "Changes": []}
        self._up = {"Control": queue.Queue(256), "Changes": queue.Queue(256)}
        self._calls = {}
        self._seq = itertools.count(1)
        self.send("Control", hello=self.wire.Hello(protocol_versions=[1], codecs=[CODEC_NONE], instance_id=instance))
        self._open("Control", self.wire.ControlDown)

    def close(self):
        for call in self._calls.values():
            call.cancel()
        self._channel.close()

    def _open(self, rpc, answer):
        up = {"Control": self.wire.ControlUp, "Changes": self.wire.ChangesUp}[rpc]
        call = self._channel.stream_stream(SERVICE + rpc, up.SerializeToString, answer.FromString)(
            iter(self._up[rpc].get, None), metadata=[("fairlead-identity", self._identity)])
        self._calls[rpc] = call
        if self._reads:
            threading.Thread(target=self._read, args=(rpc, call), daemon=True).start()

    def _read(self, rpc, call):
        try:
            for message in call:
                self.down[rpc].append(message)
        except grpc.RpcError:
            pass

    def send(self, rpc, seconds=20, **what):
        """queue.Full when the endpoint's end takes no more for so long."""
        up = {"Control": self.wire.ControlUp, "Changes": self.wire.ChangesUp}[rpc]
        self._up[rpc].put(up(**what), timeout=seconds)

    def ended(self, rpc):
        return rpc in self._calls and self._calls[rpc].done()

    def told(self, rpc, what):
        return [getattr(one, what) for one in self.down[rpc] if one.HasField(what)]

    def claim(self, account):
        """Its grant, once the Changes stream is open."""
        self.send("Control", claims=self.wire.Claims(claims=[self.wire.Claim(account_name=account)]))
        grant = wait_for(f"the grant of {account}", lambda: [one for one in self.told("Control", "grant") if one.account_name == account])[-1]
        if "Changes" not in self._calls:
            self.send("Changes", open=self.wire.Open(session_id=self.told("Control", "welcome")[0].session_id))
            self._open("Changes", self.wire.ChangesDown)
        return grant

    def change(self, grant, seq, name, body=b"{}", delete=False, uid="00000000-0000-0000-0000-000000000000", version="1", namespace="default"):
        """A batch of one ConfigMap."""
        wire = self.wire
        change = wire.Change(operation=wire.Change.DELETE if delete else wire.Change.UPSERT, name_space=namespace, name=name, uid=uid,
                             resource_version=version, history=1)
        if not delete:
            change.content_hash, change.body = hashlib.sha256(body).digest()[:16], body
        payload = wire.Payload(kinds=[wire.Kind(resource="configmaps", kind="ConfigMap", version="v1", namespaced=True)],
                               entries=[wire.Entry(change=change)]).SerializeToString()
        self.send("Changes", batch=wire.Batch(account_uid=grant.account_uid, shard=grant.shard, store_epoch=grant.store_epoch,
                                              term=grant.term, seq=seq, codec=CODEC_NONE, raw_bytes=len(payload), payload=payload))
