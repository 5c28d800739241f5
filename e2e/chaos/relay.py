"""A TCP link that can be bad: relays one port of loopback to another, and on command holds bytes back in one direction or both,
delays them, lets them drip, resets every connection, forgets those there are, or ends idle ones. What is held back is not lost: it arrives when the link is whole again,
as TCP does it after packets were dropped."""
import asyncio
import socket
import struct
import threading

PIECE = 16384
RST_ON_CLOSE = struct.pack("ii", 1, 0)


class Flow:
    """One direction. `delay` in seconds, `rate` in bytes a second (0: no limit)."""

    def __init__(self):
        self.open, self.delay, self.rate = True, 0.0, 0


class _Link:
    """A connection: the how manyth, and when a byte last passed."""

    def __init__(self, number, used):
        self.number, self.used = number, used


class Relay:
    """`up` is from who dials to `target`. Flows may be changed by any thread, at any time. Buffers at most 1 MB a direction.
    `idle`: seconds without a byte either way after which a connection is ended, as proxies do; 0: never."""

    def __init__(self, loop, port, target, idle=0):
        self.port, self.target, self.idle = port, target, idle
        self.accepted = self._forgotten = 0
        self.up, self.down = Flow(), Flow()
        self._loop, self._writers = loop, set()
        self._server = loop.run(asyncio.start_server(self._serve, "127.0.0.1", port))

    def heal(self):
        for flow in (self.up, self.down):
            flow.open, flow.delay, flow.rate = True, 0.0, 0

    def forget(self):
        """Connections there are pass nothing any more, and neither end hears of it; new ones work."""
        self._forgotten = self.accepted

    def reset(self):
        """Both ends of every connection see a reset."""
        self._loop.run(self._reset())

    async def _reset(self):
        for writer in list(self._writers):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
            writer.transport.abort()

    async def _serve(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._writers |= both
        self.accepted += 1
        link = _Link(self.accepted, self._loop.time())
        watch = asyncio.ensure_future(self._end_idle(link, both))
        try:
            await asyncio.gather(self._pump(reader, far_writer, self.up, link), self._pump(far_reader, writer, self.down, link))
        except OSError:
            pass  # one end is gone, and so is the other
        finally:
            watch.cancel()
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _end_idle(self, link, both):
        while self.idle:
            await asyncio.sleep(self.idle / 10)
            if self._loop.time() > link.used + self.idle:
                for one in both:
                    one.transport.abort()
                return

    async def _pump(self, reader, writer, flow, link):
        queue = asyncio.Queue(64)
        take_in = asyncio.ensure_future(self._take_in(reader, queue))
        try:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due + flow.delay - self._loop.time()))
                while not flow.open or link.number <= self._forgotten:
                    await asyncio.sleep(0.01)
                link.used = self._loop.time()
                if not data:
                    writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()
                if flow.rate:
                    await asyncio.sleep(len(data) / flow.rate)
        finally:
            take_in.cancel()

    async def _take_in(self, reader, queue):
        while True:
            try:
                data = await reader.read(PIECE)
            except OSError:
                data = b""
            await queue.put((self._loop.time(), data))
            if not data:
                return


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self.time = self._loop.time
        threading.Thread(target=self._loop.run_forever, name="relays", daemon=True).start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)
