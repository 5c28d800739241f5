"""Which faults, in which order: all of it from the seed."""
import random


def available(faults, lacking, only=""):
    """`lacking`: what a fault may need and this run does not have. `only`: the name of the one that is wanted."""
    found = [one for one in faults if one.needs not in lacking and only in ("", one.name)]
    if not found:
        raise ValueError(f"no fault to strike with: {only}; there are {', '.join(one.name for one in faults)}")
    return found


def plan(faults, count, seed):
    """Each fault once, as far as `count` goes, and the rest by weight; those after which an agent's silence is forgiven for a
    while are spread evenly."""
    chance = random.Random(f"{seed}-plan")
    order = chance.sample(faults, min(count, len(faults)))
    order += chance.choices(faults, [one.weight for one in faults], k=count - len(order))
    silent = [one for one in order if one.silent]
    others = [one for one in order if not one.silent]
    chance.shuffle(silent)
    chance.shuffle(others)
    places = sorted([((i + 0.5) / len(silent), 0, one) for i, one in enumerate(silent)] +
                    [((i + 0.5) / len(others), 1, one) for i, one in enumerate(others)], key=lambda place: place[:2])
    return [one for _, _, one in places]
