"""A line with a rate, a delay and a queue, packet by packet: two TUN devices, the far one in a network namespace of its own, and this
process between them. TCP on it behaves as on a real line. What arrives at the far end's port goes on to a port of loopback.

    python -m e2e.support.link RATE_MBIT DELAY_MS PORT TARGET_PORT     # serves until stdin ends; dial NEAR's peer, 10.99.0.2:PORT

PORT + 1 takes a transfer of any size and answers with one byte when all of it has arrived."""
import collections
import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

NEAR, FAR = "10.99.0.1", "10.99.0.2"
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
QUEUE_SECONDS = 1  # what the line's buffer holds, as a home router's or worse
_libc = ctypes.CDLL(None, use_errno=True)


def missing():
    """Why there can be no link here; "" if there can."""
    if os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    probe = subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True)
    return "" if probe.returncode == 0 else "no network namespaces"


def _in_namespace(flags_or_fd, enter):
    if enter(flags_or_fd, CLONE_NEWNET) if enter is _libc.setns else enter(flags_or_fd):
        raise OSError(ctypes.get_errno(), "network namespace")


def _tun(name, own, peer):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "addr", "add", own, "peer", peer, "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up", "mtu", "1500", "txqueuelen", "20000"], check=True)
    return device


class Direction:
    """Packets on their way from one device to the other."""

    def __init__(self, source, sink, bytes_per_second, delay):
        self.source, self.sink, self.rate, self.delay = source, sink, bytes_per_second, delay
        self.free_at = 0.0
        self.flying = collections.deque()  # (arrives, packet)

    def take(self, now):
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                packet = os.read(self.source, 2048)
                waits = max(self.free_at - now, 0)
                if waits <= QUEUE_SECONDS:
                    self.free_at = now + waits + len(packet) / self.rate
                    self.flying.append((self.free_at + self.delay, packet))

    def give(self, now):
        while self.flying and self.flying[0][0] <= now:
            with contextlib.suppress(BlockingIOError):
                os.write(self.sink, self.flying.popleft()[1])

    def wakes(self):
        return self.flying[0][0] if self.flying else float("inf")


def _carry(directions):
    while True:
        now = time.monotonic()
        for one in directions:
            one.give(now)
        wait = min(one.wakes() for one in directions) - time.monotonic()
        for device in select.select([one.source for one in directions], [], [], min(max(wait, 0), 1))[0]:
            for one in directions:
                if one.source == device:
                    one.take(time.monotonic())


def _copy(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 18):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _forward(listener, target):
    while True:
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", target))
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pair in ((near, far), (far, near)):
            threading.Thread(target=_copy, args=pair, daemon=True).start()


def _discard(listener):
    while True:
        taken, _ = listener.accept()
        with taken:
            while taken.recv(1 << 18):
                pass
            taken.sendall(b".")


def serve(rate_mbit, delay_ms, port, target):
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    _in_namespace(CLONE_NEWNET, _libc.unshare)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    far = _tun("fl-far", FAR, NEAR)
    listeners = [socket.create_server((FAR, port)), socket.create_server((FAR, port + 1))]
    _in_namespace(home, _libc.setns)
    near = _tun("fl-near", NEAR, FAR)
    rate, delay = rate_mbit * 125_000, delay_ms / 2000
    for run, arguments in ((_forward, (listeners[0], target)), (_discard, (listeners[1],)),
                           (_carry, ([Direction(near, far, rate, delay), Direction(far, near, rate, delay)],))):
        threading.Thread(target=run, args=arguments, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


class Link:
    """`rate_mbit` each way; `round_trip_ms` there and back."""

    def __init__(self, rate_mbit, round_trip_ms, target):
        self.port = 7000
        self.process = subprocess.Popen([sys.executable, "-m", "e2e.support.link", str(rate_mbit), str(round_trip_ms), str(self.port), str(target)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    @property
    def address(self):
        return f"{FAR}:{self.port}"

    def transfer(self, size):
        """Seconds that `size` bytes of one plain TCP connection take, from the first sent to the last arrived."""
        with socket.create_connection((FAR, self.port + 1)) as out:
            begun = time.monotonic()
            out.sendall(os.urandom(size))
            out.shutdown(socket.SHUT_WR)
            assert out.recv(1) == b"."
            return time.monotonic() - begun

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()


if __name__ == "__main__":
    serve(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
