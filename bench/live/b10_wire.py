"""B10: bytes on the agent's line to the endpoint against the JSON that the API server sends, and a slow line that keeps up."""
import time

from bench.live import meter, seed, writes
from e2e.chaos.relay import Loop, Relay

RATE = 50
SLOW_BYTES, SLOW_DELAY = 125_000, 0.150  # 1 Mbit/s and 150 ms, each way
GOAL_PERCENT = 10
_RELAY_PORT = seed.PORT + 60


class _Counted:
    """A stream's reader that counts into a flow."""

    def __init__(self, reader, flow):
        self._reader, self._flow = reader, flow

    async def read(self, most):
        data = await self._reader.read(most)
        self._flow.bytes += len(data)
        return data


class _CountingRelay(Relay):
    """What the line carries, TLS and HTTP/2 included: `up.bytes` and `down.bytes`."""

    def __init__(self, port, target):
        super().__init__(Loop(), port, target)
        self.up.bytes = self.down.bytes = 0

    async def _pump(self, reader, writer, flow, link):
        await super()._pump(_Counted(reader, flow), writer, flow, link)

    def take(self):
        """(up, down) since the last time."""
        counted = self.up.bytes, self.down.bytes
        self.up.bytes = self.down.bytes = 0
        return counted


def _load(rig, ours, number):
    with writes.Follower(ours.database.url) as follower:
        written = writes.write(rig.plane.kubeconfig, rig.options.pods, RATE, rig.options.seconds, number)
        time.sleep(2)
    return written, writes.delays(written, follower.rows)


def _share(name, count, counted, raw):
    up, down = counted
    percent = 100 * (up + down) / raw
    return (f"B10 {name}: {up / count:.0f} bytes up and {down / count:.0f} down, of {raw / count:.0f} of JSON: {percent:.1f} %, goal {GOAL_PERCENT} %: "
            f"{meter.met(percent <= GOAL_PERCENT)}")


def run(rig):
    pods = rig.options.pods
    raw = sum(len(page) for page in rig.raw_pages("/api/v1/pods"))
    with rig.ours() as ours:
        relay = _CountingRelay(_RELAY_PORT, ours.endpoint.agents)
        ours.start_agent(f"127.0.0.1:{_RELAY_PORT}")
        ours.wait_synced()
        time.sleep(1)
        lines = [_share(f"first list, {pods} objects, an object", pods, relay.take(), raw)]
        rig.say(lines[-1])
        written, found = _load(rig, ours, 1)
        lines += [_share(f"{RATE} events/s, an event", len(written), relay.take(), sum(one.size for one in written)),
                  f"B10 {RATE} events/s on a fast line: answer to row p50/p99/max {meter.latencies(found)} ms"]
        for flow in (relay.up, relay.down):
            flow.rate, flow.delay = SLOW_BYTES, SLOW_DELAY
        time.sleep(2)
        relay.take()
        written, found = _load(rig, ours, 2)
        half = len(found) // 2
        keeps_up = meter.percentile(found[half:], 99) < 2 * meter.percentile(found[:half], 99) + 0.1
        lines += [_share(f"{RATE} events/s on 1 Mbit/s and 150 ms each way, an event", len(written), relay.take(), sum(one.size for one in written)),
                  f"B10 1 Mbit/s, 150 ms each way: {len(written)} writes, answer to row p50/p99/max {meter.latencies(found)} ms, first half "
                  f"{meter.latencies(found[:half])}, second {meter.latencies(found[half:])}; goal it keeps up: {meter.met(keeps_up)}"]
        relay.heal()
        compared = ours.verdict(rig.api, at_least=pods)
    return lines + [f"B10 ledger: 0 lost, 0 twice, 0 backwards; verdict: {compared} objects equal"]
