"""What a run says at its end."""
from e2e.chaos.ledger import percentile

KINDS = ("lost", "twice", "backwards", "two writers", "invented")


def table(struck):
    """Lines: the gap of each kind of fault."""
    names = sorted({(-(one.fault.bar or 0) or 99, one.fault.name) for one in struck})
    lines = [f"{'fault':30}{'times':>6}{'gap p50':>9}{'p99':>8}{'max':>8}  bar (p99)"]
    for _, name in names:
        own = [one for one in struck if one.fault.name == name]
        gaps, bar = [one.gap for one in own], own[0].fault.bar
        p50, p99 = percentile(gaps, 50), percentile(gaps, 99)
        judged = "" if bar is None else f"  {bar} s: {'met' if p99 < bar else 'missed'}"
        lines.append(f"{name:30}{len(own):6}{p50:8.2f}s{p99:7.2f}s{max(gaps):7.2f}s{judged}")
    return lines


def summary(run):
    """Lines: what the verdict and the ledger found."""
    ledger = run.ledger
    terms = len({(one.store, one.term) for one in ledger.fences})
    counts = {kind: sum(1 for one in run.offences if one.kind == kind) for kind in KINDS}
    return [
        f"{len(ledger.writes)} writes answered, {run.writers.unanswered} not answered; {len(ledger.landed)} rows written or deleted by "
        f"{len(ledger.fences) - terms} batches of {terms} terms; history raised {len(ledger.raised)} times; "
        f"{sum(one.lists for one in run.struck)} full lists",
        f"verdict: {run.compared} objects compared with the API server's own lists: {'equal' if run.compared else 'NOT EQUAL'}",
        "ledger: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()),
    ]


def stories(run, most=20):
    """Lines: offences, each with everything that is known of its object."""
    for offence in run.offences[:most]:
        yield f"{offence.kind}: {offence.text}"
    ledger = run.ledger
    keys = {one.key for one in ledger.landed if any("/".join(one.key) in offence.text for offence in run.offences[:most])}
    keys |= {one.key for one in ledger.writes if any("/".join(one.key) in offence.text for offence in run.offences[:most])}
    for key in sorted(keys):
        yield "/".join(key)
        events = [(one.answered, str(one)) for one in ledger.writes if one.key == key]
        events += [(one.seen, str(one)) for one in ledger.landed if one.key == key]
        events += [(float("inf"), str(one)) for one in ledger.doubts if one.key == key]
        for _, text in sorted(events):
            yield f"  {text}"
    for fence in ledger.fences[-200:]:
        yield str(fence)
