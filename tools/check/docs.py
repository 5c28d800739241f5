#!/usr/bin/env python3
"""Holds the reference pages to the code: every name in the code is explained, and no page explains what is not there.
Configuration keys also with their default and their bounds.

usage: docs.py   (make docs, part of make check)
"""
import ast
import operator
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def constants(path, pattern):
    return set(re.findall(pattern, text_of(path)))


def rows(path, head=None):
    """Cells of the page's tables, without their heads; `head`: only of tables whose first column is called so."""
    found, names = [], None
    for line in text_of(path).splitlines():
        if not line.startswith("|"):
            names = None
            continue
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if names is None:
            names = cells
        elif not set("".join(cells)) <= set("-") and head in (None, names[0]):
            found.append(cells)
    return found


def explained(path, pattern):
    """Names in the first column of the page's tables."""
    return {name for cells in rows(path) for name in re.findall(pattern, cells[0])}


def operator_keys():
    text = text_of("operator/config/config.cc")
    return set(re.findall(r'\.(?:String|RequiredString|OneOf|Strings|Int|Map|Maps)\("(\w+)"', text))


# --- configuration files read with base::ConfigReader

READ = re.compile(r"""
    ConfigReader \s (?P<map>\w+) \s = \s (?P<map_of>\w+) \.Map\( "(?P<map_key>\w+)" \)
  | for \s \( ConfigReader& \s (?P<item>\w+) \s : \s (?P<item_of>\w+) \.Maps\( "(?P<item_key>\w+)" \) \)
  | auto \s (?P<helper>\w+) \s = \s [^;]* \b (?P<helper_of>\w+) \.String\( key \)
  | (?P<of>\w+) (?: \.Map\( "(?P<inner>\w+)" \) )? \. (?P<type>String|RequiredString|OneOf|Strings|Int|Bool|Has)
      \( \s* "(?P<key>\w+)" (?P<rest> [^;]*? ) \) [;)]
  | (?P<call>\w+) \( "(?P<call_key>\w+)" \) ;
""", re.VERBOSE)

OPERATORS = {ast.Mult: operator.mul, ast.LShift: operator.lshift}


def number(expression):
    """Value of `16 << 20`, `int64_t{1} << 34`, `365 * 86400`; None for anything else."""
    def value(node):
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        return OPERATORS[type(node.op)](value(node.left), value(node.right))
    try:
        return value(ast.parse(re.sub(r"int64_t\{(\d+)\}", r"\1", expression.strip()), mode="eval").body)
    except (AttributeError, KeyError, SyntaxError):
        return None


def read_leaf(found, fallbacks):
    """(default, bounds) as a page must say them."""
    arguments = [part.strip() for part in found["rest"].split(",")[1:]]
    if found["type"] == "RequiredString":
        return "required", ""
    if found["type"] == "Int":
        default = number(arguments[0])
        default = fallbacks.get(arguments[0]) if default is None else default
        return str(default), f"{number(arguments[1])} to {number(arguments[2])}"
    if found["type"] in ("Bool", "String", "OneOf") and arguments:
        return arguments[0].strip('{"}'), ""
    return "", ""


def config_keys(path, fallbacks):
    """Key path -> (default, bounds), of a file's root.Map("a").String("b", "x") and the like. `fallbacks`: values of
    defaults that are no literals."""
    prefix, helpers, keys = {"root": ""}, {}, {}
    for found in READ.finditer(text_of(path)):
        if found["map"]:
            prefix[found["map"]] = f"{prefix[found['map_of']]}{found['map_key']}."
        elif found["item"]:
            key = prefix[found["item_of"]] + found["item_key"]
            prefix[found["item"]] = f"{key}[]."
            keys[key] = "", ""
        elif found["helper"]:
            helpers[found["helper"]] = prefix[found["helper_of"]]
        elif found["call"]:
            if found["call"] in helpers:
                keys[helpers[found["call"]] + found["call_key"]] = "", ""
        elif found["of"] in prefix:
            inner = f"{found['inner']}." if found["inner"] else ""
            keys[prefix[found["of"]] + inner + found["key"]] = read_leaf(found, fallbacks)
    return keys


def config_problems(page, source, fallbacks=None):
    keys, said = config_keys(source, fallbacks or {}), {}
    for cells in rows(page, "key"):
        said[cells[0].strip("`")] = cells[1], cells[2]
    yield from both_ways(set(keys), set(said))
    understood = {part for key in keys for part in re.split(r"[.\[\]]+", key)}
    for name in sorted(constants(source, r'\.(?:String|RequiredString|OneOf|Strings|Int|Bool|Has|Map|Maps)\(\s*"(\w+)"') - understood):
        yield f"cannot be compared: tools/check/docs.py does not see where {source} reads {name}"
    for key in sorted(keys.keys() & said.keys()):
        (default, bounds), (said_default, said_bounds) = keys[key], said[key]
        if default != said_default:
            yield f"says that the default of {key} is \"{said_default}\", not \"{default}\""
        # Bounds that are no numbers of the reader (a pattern, a count) are the page's own.
        if bounds and bounds != said_bounds:
            yield f"says that the bounds of {key} are \"{said_bounds}\", not \"{bounds}\""


def both_ways(code, page):
    for name in sorted(code - page):
        yield f"does not explain {name}"
    for name in sorted(page - code):
        yield f"explains {name}, which the code does not have"


# --- REST

def rest_code():
    """What a caller of the REST API can say and hear, by its kind."""
    text = "".join(text_of(f"endpoint/rest/{one}.cc") for one in ("service", "account_actions", "account_tokens", "answers"))
    names = {f"path {one}" for one in re.findall(r'(?:path ==|kAccount =) "(/[^"]+)"', text)}
    names |= {f"path /v1/accounts//{one}" for one in re.findall(r'action(?: [=!]= |\.starts_with\()"([\w/-]+)"', text)}
    names |= {f"parameter {one}" for one in re.findall(r'(?:QueryValue\((?:request\.)?query, |\bvalue\()"(\w+)"', text)}
    for keys in re.findall(r"OnlyKeys\(\*body, (.*?)\);", text, re.S):
        names |= {f"member {one}" for one in re.findall(r'"(\w+)"', keys)}
    names |= {f"error {code} {reason}" for code, reason in re.findall(r'(\d{3}), "([A-Z]\w+)"', text)}
    return names


def rest_page():
    text = text_of("docs/reference/rest.md")
    names = set()
    for request, does in rows("docs/reference/rest.md", "request"):
        path, _, query = request.strip("`").split(" ", 1)[1].partition("?")
        names.add(f"path {path.replace('{name}', '').replace('{token}', '')}")
        names |= {f"parameter {one.partition('=')[0]}" for one in query.split("&") if one}
        names |= {f"parameter {one}" for one in re.findall(r"`\?(\w+)=", does)}
        if request.startswith(("`PUT", "`POST")):
            names |= {f"member {one}" for one in re.findall(r'"(\w+)"', does)}
    for code, reasons in re.findall(r"(\d{3}) (`\w+`(?: or `\w+`)*)", text):
        names |= {f"error {code} {one}" for one in re.findall(r"`(\w+)`", reasons)}
    return names


# --- fairleadctl

def ctl_problems():
    code = text_of("cli/arguments.cc")
    verbs = set(re.findall(r'\{"(\w+)", Verb::', code))
    flags = {}
    for name, letter, of in re.findall(r"""\{"([\w-]+)",\s*(?:'(\w)'|0),\s*"[A-Z]*",\s*"([\w ]*)",""", code):
        flags[f"--{name}"] = of or "every verb"
        if letter:
            flags[f"-{letter}"] = of or "every verb"
    page = "docs/reference/fairleadctl.md"
    yield from both_ways(verbs, {cells[0].strip("`") for cells in rows(page, "verb")})
    said = {name: cells[1] for cells in rows(page, "flag") for name in re.findall(r"`(-[\w-]+)`", cells[0])}
    yield from both_ways(set(flags), set(said))
    for name in sorted(flags.keys() & said.keys()):
        if flags[name] != said[name]:
            yield f"says that {name} is a flag of {said[name]}, not of {flags[name]}"
    timeout = re.search(r"timeout_seconds = (\d+);", text_of("cli/settings.h"))[1]
    yield from config_problems(page, "cli/settings.cc", {"settings.timeout_seconds": timeout})


def main():
    reasons = constants("operator/controllers/reasons.h", r'kReason\w+\[\] = "(\w+)"')
    metrics = constants("lib/metrics/names.h", r'= "(\w+)"')
    # A Rule of a profile is a PolicyRule of Kubernetes; its page explains its keys.
    keys = operator_keys() - {"apiGroups", "resources", "resourceNames", "verbs"}
    conditions = constants("operator/model/conditions.h", r'\[\] = "(\w+)"')
    events = constants("operator/controllers/event_reasons.h", r'kEvent\w+\[\] = "(\w+)"')
    pages = {
        "events.md": both_ways(events, explained("docs/reference/events.md", r"`(\w+)`")),
        "conditions.md": both_ways(reasons, explained("docs/reference/conditions.md", r"`(\w+)`") - (conditions - reasons)),
        "metrics.md": both_ways(metrics, explained("docs/reference/metrics.md", r"`(\w+)`")),
        "operator-config.md": both_ways(keys, explained("docs/reference/operator-config.md", r"(\w+)(?:\[\])?")),
        "agent-config.md": config_problems("docs/reference/agent-config.md", "agent/config/config.cc"),
        "endpoint-config.md": config_problems("docs/reference/endpoint-config.md", "endpoint/config/config.cc"),
        "fairleadctl.md": ctl_problems(),
        "rest.md": both_ways(rest_code(), rest_page()),
    }
    errors = 0
    for page, problems in pages.items():
        for problem in problems:
            print(f"docs: docs/reference/{page} {problem}")
            errors += 1
    print(f"docs: {len(pages)} pages, {errors} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
