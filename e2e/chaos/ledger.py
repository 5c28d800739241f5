"""The ledger: what was written at the API server against everything that ever became a row, and who made it one.

Pure: no I/O and no clock of its own. Times are seconds of one monotonic clock. It is told

- each answered write with its (uid, version, nonce), and each write whose answer never came (Doubt);
- each row that was committed, in the order of commit (Landed): every state, not samples;
- each change of the shard's (store epoch, term, last_seq), in the order of commit (Fence);

and finds offences:

  lost         a write that never became readable within the deadline, with nothing later of its object in its place; a row
               that went although nobody deleted its object
  twice        a (uid, version) that landed again; a row that was written anew with what it had; a deleted uid that came back
  backwards    an older (history, version) or an older seq of an object after a newer one
  two writers  a term or a sequence number that does not follow the one before it; a term begun or used by two replicas; a row
               without the fence of its own sequence number
  invented     a row that nobody wrote: another nonce than that version's, or a version nobody was answered

A write that changes nothing which is kept ("touch") need not land: rows of an equal hash are not written.
"""
import threading
from collections import defaultdict
from typing import NamedTuple, Tuple

Key = Tuple[str, str, str]  # resource, namespace, name


class Write(NamedTuple):
    """`version` of a delete is that of the last state before it."""
    key: Key
    op: str  # put, touch, delete
    uid: str
    version: int
    nonce: str
    begun: float
    answered: float


class Doubt(NamedTuple):
    """A write without an answer: it may have happened. `uid`: "" for a create."""
    key: Key
    op: str  # put, delete
    uid: str
    nonce: str


class Landed(NamedTuple):
    """A row as it was committed; of a delete, the row that went."""
    number: int
    op: str  # put, delete
    key: Key
    uid: str
    history: int
    version: int
    seq: int
    digest: bytes
    nonce: str
    seen: float


class Fence(NamedTuple):
    """The shard's row after a change of it; `who`: the replica that changed it; `held`: a replica holds the shard."""
    number: int
    store: int
    term: int
    last_seq: int
    who: str
    held: bool = True


class Offence(NamedTuple):
    kind: str
    text: str


class _State(NamedTuple):
    """What was readable of an object from `since` on; uid "" = no row."""
    since: float
    uid: str
    version: int


class Ledger:
    """Safe for several threads."""

    def __init__(self, deadline):
        self.deadline = deadline
        self.writes, self.landed, self.fences, self.doubts = [], [], [], []
        self._lock = threading.Lock()
        self._writes_of = defaultdict(list)
        self._states = defaultdict(lambda: [_State(0.0, "", 0)])
        self._history = {}
        self.raised = []  # (when, resource) of each newer history than the one before

    def wrote(self, write):
        with self._lock:
            self.writes.append(write)
            self._writes_of[write.key].append(write)

    def doubted(self, doubt):
        with self._lock:
            self.doubts.append(doubt)

    def saw(self, landed):
        """In the order of commit, at least for each object."""
        with self._lock:
            self.landed.append(landed)
            if landed.history > self._history.setdefault(landed.key[0], landed.history):
                self._history[landed.key[0]] = landed.history
                self.raised.append((landed.seen, landed.key[0]))
            gone = landed.op == "delete"
            self._states[landed.key].append(_State(landed.seen, "" if gone else landed.uid, 0 if gone else landed.version))

    def saw_fence(self, fence):
        with self._lock:
            self.fences.append(fence)

    def delay(self, write):
        """Seconds from a write's answer until it, or a later state of its object, was readable; None: not so far."""
        with self._lock:
            own, states = self._writes_of[write.key], self._states[write.key]
            deletes = [one for one in own if one.op == "delete" and one.version >= write.version]
            for i, state in enumerate(states):
                until = states[i + 1].since if i + 1 < len(states) else float("inf")
                if state.uid:
                    if state.version < write.version or (write.op == "delete" and state.uid == write.uid):
                        continue
                    return max(0.0, state.since - write.answered)
                # No row: as it should be from the moment on at which the object was deleted.
                for delete in deletes:
                    if delete.begun < until:
                        return max(0.0, max(state.since, delete.begun) - write.answered)
        return None

    def gap(self, begin, end):
        """The longest delay of the writes answered in [begin, end), how many these were, and how many of them never landed."""
        with self._lock:
            own = [one for one in self.writes if begin <= one.answered < end and one.op != "touch"]
        delays = [self.delay(one) for one in own]
        return max([one for one in delays if one is not None], default=0.0), len(own), delays.count(None)

    def unreadable(self, writes):
        return [one for one in writes if one.op != "touch" and self.delay(one) is None]

    # ---------------------------------------------------------------------------------------------
    # the judgement

    def judge(self):
        """Every offence of the whole run; to be asked when everything that will land was seen."""
        return self._late() + self._rows() + self._terms()

    def _late(self):
        found = []
        for write in self.writes:
            if write.op == "touch":
                continue
            delay = self.delay(write)
            if delay is None:
                found.append(Offence("lost", f"{_name(write)} was never readable"))
            elif delay > self.deadline:
                found.append(Offence("lost", f"{_name(write)} was readable only after {delay:.1f} s"))
        return found

    def _rows(self):
        """Each object's rows in the order of commit."""
        of_key = defaultdict(list)
        for landed in sorted(self.landed):
            of_key[landed.key].append(landed)
        written = {(one.uid, one.version): one for one in self.writes if one.op != "delete"}
        last = {one.uid: one for one in self.writes if one.op != "delete"}
        doubted = {one.nonce for one in self.doubts if one.op == "put"}
        deleted = {one.uid: one.begun for one in self.writes if one.op == "delete"}
        deleted |= {one.uid: 0.0 for one in self.doubts if one.op == "delete"}
        found = []
        for rows in of_key.values():
            history = _History()
            for row in rows:
                found += history.put(row) if row.op == "put" else history.delete(row, deleted)
                if row.op == "put" and not (row.uid in deleted and _marked(row, last.get(row.uid))):
                    found += _origin(row, written, doubted)
        return found

    def _terms(self):
        fences = sorted(self.fences)
        found, owner = [], {}
        for before, now in zip([None] + fences, fences):
            name = f"term {now.term} seq {now.last_seq} by {now.who}"
            begins = before is None or now.term != before.term or now.store != before.store
            if before is not None:
                if (now.store, now.term) < (before.store, before.term):
                    found.append(Offence("two writers", f"{name} after term {before.term}"))
                if begins and now.last_seq != before.last_seq:
                    found.append(Offence("two writers", f"{name}: the term begins with another seq than {before.last_seq}"))
                given_up = before.held and not now.held and now.last_seq == before.last_seq
                if not begins and not given_up and now.last_seq != before.last_seq + 1:
                    found.append(Offence("two writers", f"{name} after seq {before.last_seq}"))
            if owner.setdefault((now.store, now.term), now.who) != now.who:
                found.append(Offence("two writers", f"{name}: the term is {owner[now.store, now.term]}'s"))
        if fences:
            # Rows from before the first fence that was seen have theirs before it, too.
            seqs = [one.last_seq for one in fences]
            committed, first = set(seqs), min(seqs)
            found += [Offence("two writers", f"{_name(one)}: a row of seq {one.seq}, which was never committed")
                      for one in self.landed if one.op == "put" and one.seq > first and one.seq not in committed]
        return found


class _History:
    """One object's rows, one after the other."""

    def __init__(self):
        self.row = None      # what stood last
        self.newest = (0, 0)  # (history, version) of all that stood
        self.seq = 0
        self.landed = {}     # (uid, version) -> seq
        self.gone = set()

    def put(self, row):
        found = []
        same = self.row is not None and (self.row.uid, self.row.digest) == (row.uid, row.digest)
        if (row.history, row.version) < self.newest:
            found.append(Offence("backwards", f"{_name(row)} after version {self.newest[1]}"))
        if row.seq < self.seq:
            found.append(Offence("backwards", f"{_name(row)}: seq {row.seq} after {self.seq}"))
        if row.uid in self.gone:
            found.append(Offence("twice", f"{_name(row)}: this uid was deleted before"))
        elif self.landed.get((row.uid, row.version), row.seq) != row.seq:
            found.append(Offence("twice", f"{_name(row)} of seq {row.seq} landed before with seq {self.landed[row.uid, row.version]}"))
        elif same and row.seq != self.seq:
            found.append(Offence("twice", f"{_name(row)}: written anew with seq {row.seq}, and nothing of it had changed"))
        if self.row is not None and self.row.uid != row.uid:
            self.gone.add(self.row.uid)
        self.landed.setdefault((row.uid, row.version), row.seq)
        self.row, self.newest, self.seq = row, max(self.newest, (row.history, row.version)), max(self.seq, row.seq)
        return found

    def delete(self, row, deleted):
        """`deleted`: when each deletion was asked for, by uid."""
        self.gone.add(row.uid)
        if row.uid not in deleted:
            return [Offence("lost", f"{_name(row)}: the row went, and nobody had deleted the object")]
        if row.seen < deleted[row.uid]:
            return [Offence("lost", f"{_name(row)}: the row went {deleted[row.uid] - row.seen:.2f} s before the object was deleted")]
        return []


def _marked(row, last):
    """A version that the API server makes by itself when a pod is deleted: the last one, marked."""
    return last is not None and row.version > last.version and row.nonce == last.nonce


def _origin(row, written, doubted):
    known = written.get((row.uid, row.version))
    if known is None and row.nonce not in doubted:
        return [Offence("invented", f"{_name(row)}: nobody wrote this version (nonce {row.nonce})")]
    if known is not None and known.nonce != row.nonce:
        return [Offence("invented", f"{_name(row)}: nonce {row.nonce}, should be {known.nonce}")]
    return []


def _name(one):
    return f"{one.op} of {'/'.join(one.key)} uid {one.uid} version {one.version}"


def percentile(values, percent):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
