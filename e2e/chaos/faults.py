"""The faults. Each is a generator: it strikes, yields what it struck and how many seconds the fault shall last, and mends it
when it goes on."""
import time
from typing import Callable, NamedTuple, Optional


class Fault(NamedTuple):
    name: str
    run: Callable
    weight: int
    silent: bool = False            # an agent falls silent: the endpoint revokes so once in ten seconds at most
    bar: Optional[float] = None     # DESIGN section 12: seconds, of the 99th percentile
    needs: str = ""                 # database, loss, clock


def _long(chance):
    """Mostly long enough for a failover by silence, else shorter than the lease."""
    return chance.uniform(2.5, 4.0) if chance.random() < 0.75 else chance.uniform(0.2, 1.2)


def agent_killed(rig, chance):
    agent = rig.primary()
    agent.kill()
    yield agent.name, chance.uniform(0.3, 1.5)
    agent.start()


def agent_killed_after_a_calm(rig, chance):
    """The standby goes on from an older position, and sees much again that is a row already."""
    time.sleep(chance.uniform(5.0, 8.0))
    yield from agent_killed(rig, chance)


def standby_killed(rig, chance):
    agent = rig.standby()
    agent.kill()
    yield agent.name, chance.uniform(0.1, 0.5)
    agent.start()


def both_agents_killed(rig, chance):
    for agent in rig.agents:
        agent.kill()
    yield "both", chance.uniform(0.0, 1.5)
    for agent in rig.agents:
        agent.start()


def agent_restarted(rig, chance):
    agent = rig.primary()
    agent.stop()
    yield agent.name, chance.uniform(0.0, 1.0)
    agent.start()


def agent_stopped(rig, chance):
    agent = rig.primary()
    agent.pause()
    yield agent.name, _long(chance)
    agent.go_on()


def _link(change, lasts):
    def fault(rig, chance):
        agent = rig.primary()
        links = agent.to_endpoints
        if chance.random() < 0.2:  # only that to one replica, in use or not
            links = [chance.choice(links)]
        for link in links:
            change(link, chance)
        yield f"{agent.name}, {len(links)} of {len(agent.to_endpoints)} links", lasts(chance)
        for link in links:
            link.heal()
            if chance.random() < 0.3:
                link.reset()
    return fault


def _cut(*directions):
    def change(link, _):
        for name in directions:
            getattr(link, name).open = False
    return _link(change, _long)


def _delayed(link, chance):
    link.up.delay = link.down.delay = chance.uniform(0.05, 0.25)


def _slow(link, chance):
    link.up.rate = link.down.rate = chance.choice((16_000, 64_000))


LINK_CUT_UPWARDS = _cut("up")
LINK_SLOW = _link(_slow, lambda chance: chance.uniform(1, 2))


def link_reset(rig, chance):
    agent = rig.primary()
    for link in agent.to_endpoints:
        link.reset()
    yield agent.name, chance.uniform(0.0, 0.5)


def packets_lost(rig, chance):
    agent, percent = rig.primary(), chance.choice((5, 10, 20))
    rig.loss.begin([link.port for link in agent.to_endpoints], percent)
    yield f"{agent.name}, {percent} %", chance.uniform(1.0, 3.0)
    rig.loss.end()


def cluster_link_cut(rig, chance):
    agent = rig.primary()
    flow = chance.choice((agent.to_cluster.up, agent.to_cluster.down))
    flow.open = False
    yield agent.name, chance.uniform(0.5, 3.0)
    agent.to_cluster.heal()
    if chance.random() < 0.5:
        agent.to_cluster.reset()


def endpoint_killed(rig, chance):
    endpoint = chance.choice(rig.endpoints)
    endpoint.kill()
    yield endpoint.name, chance.uniform(0.0, 1.0)
    endpoint.start()


def endpoint_restarted(rig, chance):
    endpoint = chance.choice(rig.endpoints)
    endpoint.stop()
    yield endpoint.name, chance.uniform(0.0, 1.0)
    endpoint.start()


def endpoint_stopped(rig, chance):
    endpoint = chance.choice(rig.endpoints)
    endpoint.pause()
    yield endpoint.name, chance.uniform(0.3, 3.0)
    endpoint.go_on()


def database_killed(rig, chance):
    rig.database.kill()
    yield rig.engine, chance.uniform(0.0, 1.0)
    rig.database.start()


def database_stopped(rig, chance):
    rig.database.pause()
    yield rig.engine, chance.uniform(0.3, 3.0)
    rig.database.go_on()


def api_server_restarted(rig, _):
    rig.plane.restart()
    yield "kube-apiserver", 0.0


def api_server_stopped(rig, chance):
    rig.plane.pause()
    yield "kube-apiserver", chance.uniform(0.3, 2.0)
    rig.plane.go_on()


def compaction(rig, chance):
    rig.plane.compact()
    yield "etcd", chance.uniform(0.0, 0.5)


def compaction_while_away(rig, chance):
    """Both agents are away while versions go that they would go on from: only a list helps."""
    for agent in rig.agents:
        agent.kill()
    time.sleep(chance.uniform(0.5, 1.5))
    rig.plane.compact()
    rig.plane.restart()
    yield "etcd, kube-apiserver and both agents", 0.0
    for agent in rig.agents:
        agent.start()


def _clock_jump(victim):
    def fault(rig, chance):
        node, seconds = victim(rig, chance), chance.choice((-1, 1)) * chance.choice((2, 60, 3600, 6 * 3600))
        node.clock.jump(seconds)
        yield f"{node.name}, {seconds:+d} s", chance.uniform(1.2, 2.0)
        if chance.random() < 0.5:
            node.clock.jump(0)
    return fault


def two_at_once(rig, chance):
    """Of parts that do not wait for one another to come back."""
    others = [endpoint_killed, endpoint_stopped, api_server_stopped] + ([database_killed, database_stopped] if rig.database else [])
    first = chance.choice((agent_killed, both_agents_killed, link_reset))(rig, chance)
    second = chance.choice(others)(rig, chance)
    what, seconds = next(first)
    time.sleep(chance.uniform(0.0, 0.5))
    also, longer = next(second)
    yield f"{what} and {also}", max(seconds, longer)
    for one in (second, first):
        next(one, None)


def killed_catching_up(rig, chance):
    """Something falls behind, and the moment it could go on, somebody is killed."""
    behind = [endpoint_stopped, LINK_CUT_UPWARDS, LINK_SLOW] + ([database_stopped, database_killed] if rig.database else [])
    first = chance.choice(behind)(rig, chance)
    second = chance.choice((agent_killed, both_agents_killed, link_reset, endpoint_killed))(rig, chance)
    what, seconds = next(first)
    time.sleep(seconds)
    next(first, None)
    time.sleep(chance.uniform(0.0, 0.15))
    also, seconds = next(second)
    yield f"{what}, then {also}", seconds
    next(second, None)


def nothing(*_):
    yield "for comparison", 1.5


ALL = [
    Fault("nothing", nothing, 2),
    Fault("two at once", two_at_once, 5),
    Fault("killed catching up", killed_catching_up, 6),
    Fault("agent killed", agent_killed, 9, bar=0.5),
    Fault("agent killed after a calm", agent_killed_after_a_calm, 2, bar=0.5),
    Fault("standby killed", standby_killed, 2),
    Fault("both agents killed", both_agents_killed, 3),
    Fault("agent restarted", agent_restarted, 3),
    Fault("agent stopped", agent_stopped, 6, silent=True, bar=2),
    Fault("link cut both ways", _cut("up", "down"), 5, silent=True, bar=2),
    Fault("link cut upwards", LINK_CUT_UPWARDS, 4, silent=True, bar=2),
    Fault("link cut downwards", _cut("down"), 4, silent=True, bar=2),
    Fault("link delayed", _link(_delayed, lambda chance: chance.uniform(1, 2)), 3),
    Fault("link slow", LINK_SLOW, 3),
    Fault("link reset", link_reset, 4),
    Fault("packets lost", packets_lost, 3, needs="loss"),
    Fault("cluster link cut", cluster_link_cut, 3),
    Fault("endpoint killed", endpoint_killed, 6, bar=0.5),
    Fault("endpoint restarted", endpoint_restarted, 3),
    Fault("endpoint stopped", endpoint_stopped, 4, bar=2),
    Fault("database killed", database_killed, 4, needs="database"),
    Fault("database stopped", database_stopped, 4, needs="database"),
    Fault("API server restarted", api_server_restarted, 2),
    Fault("API server stopped", api_server_stopped, 3),
    Fault("etcd compacted", compaction, 2),
    Fault("etcd compacted, agents away", compaction_while_away, 2),
    Fault("agent's clock jumped", _clock_jump(lambda rig, chance: chance.choice(rig.agents)), 3, needs="clock"),
    Fault("endpoint's clock jumped", _clock_jump(lambda rig, chance: chance.choice(rig.endpoints)), 3, needs="clock"),
]
