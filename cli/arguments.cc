#include "cli/arguments.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/base/suggest.h"

namespace fairlead::cli {
namespace {

using base::StrCat;

struct VerbText {
  const char* name;
  Verb verb;
  const char* arguments;
  const char* summary;
  const char* more;
};

constexpr VerbText kVerbs[] = {
    {"accounts", Verb::kAccounts, "[NAME...]", "the accounts the endpoint knows, and their agents",
     "`accounts confirm-deletes NAME [--kind KIND] [--group GROUP]` deletes the rows that "
     "deletion\n"
     "protection still holds. Its agent begins anew from where it was; what came back stays.\n\n"
     "AGENT says whether an agent holds the account now, STANDBYS how many wait to take over.\n"
     "-o yaml shows everything the endpoint says; with one NAME its specification as well.\n"},
    {"objects", Verb::kObjects, "", "the objects stored for the accounts, with filters",
     "All pages are read, in a fixed order: account and kind, namespace, name.\n"
     "Held rows are kept by the account's deletion protection until somebody decides.\n"},
    {"freshness", Verb::kFreshness, "[NAME...]", "how old the rows may be, and by what proof",
     "AGE is how long ago the rows were last known to be what the cluster has, PROVEN how long "
     "ago\n"
     "they were compared with a whole list of it. docs/reference/freshness.md explains the "
     "states.\n"},
    {"audit", Verb::kAudit, "NAME [KIND]", "have rows compared with fresh lists of the cluster",
     "Everything of the account, or one kind (pod, deployments; --group tells two of one name\n"
     "apart). What differs is repaired. Returns at once; freshness shows the proof.\n"},
    {"status", Verb::kStatus, "[NAME...]",
     "whether everything is fine, and what is not (exit code 0 or 1)",
     "Looks at the endpoint's readiness, each account's agent, what is not being watched, rows "
     "held\n"
     "by deletion protection, and at how old the oldest watch is: then the rows were last known\n"
     "to be what the cluster has.\n\n"
     "exit code: 0 all fine, 1 something is wrong or could not be asked, 2 wrong usage\n"},
};

struct Flag {
  const char* name;
  char letter;        // 0 = none
  const char* value;  // what the value is called; "" = a switch
  const char* verbs;  // names of verbs, "" = every verb
  const char* help;
  absl::Status (*set)(Arguments&, std::string_view);
};

template <std::string ConnectionFlags::*member>
absl::Status SetConnection(Arguments& arguments, std::string_view value) {
  arguments.connection.*member = std::string(value);
  return absl::OkStatus();
}

template <std::string ObjectFlags::*member>
absl::Status SetFilter(Arguments& arguments, std::string_view value) {
  arguments.objects.*member = std::string(value);
  return absl::OkStatus();
}

absl::Status SetGroup(Arguments& arguments, std::string_view value) {
  arguments.objects.group = std::string(value);
  return absl::OkStatus();
}

absl::Status SetOutput(Arguments& arguments, std::string_view value) {
  if (value == "table") {
    arguments.output = Output::kTable;
  } else if (value == "json") {
    arguments.output = Output::kJson;
  } else if (value == "yaml") {
    arguments.output = Output::kYaml;
  } else {
    return absl::InvalidArgumentError(
        StrCat("\"", value, "\" is none of table, json, yaml; did you mean \"",
               base::Nearest(value, {"table", "json", "yaml"}), "\"?"));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Number(std::string_view value, int64_t least, int64_t most) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(base::AbslView(value), &number) || number < least || number > most) {
    return absl::InvalidArgumentError(
        StrCat("\"", value, "\" is no whole number from ", least, " to ", most));
  }
  return number;
}

absl::Status SetLimit(Arguments& arguments, std::string_view value) {
  FAIRLEAD_ASSIGN_OR_RETURN(arguments.objects.limit, Number(value, 1, 1'000'000'000));
  return absl::OkStatus();
}

absl::Status SetMaxAge(Arguments& arguments, std::string_view value) {
  FAIRLEAD_ASSIGN_OR_RETURN(const int64_t number, Number(value, 1, 86400));
  arguments.max_age = base::seconds(number);
  return absl::OkStatus();
}

absl::Status SetBodies(Arguments& arguments, std::string_view) {
  arguments.objects.bodies = true;
  return absl::OkStatus();
}

absl::Status SetWatch(Arguments& arguments, std::string_view) {
  arguments.watch = true;
  return absl::OkStatus();
}

constexpr Flag kFlags[] = {
    {"watch", 'w', "", "accounts", "go on and print what changes", SetWatch},
    {"account", 0, "NAME", "objects", "of this account only", SetFilter<&ObjectFlags::account>},
    {"kind", 'k', "KIND", "objects accounts", "kind or plural, any case: pod, deployments",
     SetFilter<&ObjectFlags::kind>},
    {"group", 'g', "GROUP", "objects accounts audit", "API group; --group= is the core group",
     SetGroup},
    {"namespace", 'n', "NAME", "objects", "namespace", SetFilter<&ObjectFlags::name_space>},
    {"name", 0, "NAME", "objects", "name of the object", SetFilter<&ObjectFlags::name>},
    {"application", 'a', "NAME", "objects", "Spinnaker application",
     SetFilter<&ObjectFlags::application>},
    {"limit", 0, "N", "objects", "stop after N rows", SetLimit},
    {"body", 0, "", "objects", "with each object as it is stored (-o json or yaml)", SetBodies},
    {"max-age", 0, "SECONDS", "status", "older watches are a problem; 300", SetMaxAge},
    {"output", 'o', "FORMAT", "", "table, json or yaml", SetOutput},
    {"endpoint", 0, "URL", "", "https://host:port of the endpoint's REST",
     SetConnection<&ConnectionFlags::endpoint>},
    {"ca", 0, "FILE", "", "PEM file that verifies the endpoint; without: the system's roots",
     SetConnection<&ConnectionFlags::ca_file>},
    {"token-file", 0, "FILE", "", "file with a bearer token",
     SetConnection<&ConnectionFlags::token_file>},
    {"cert", 0, "FILE", "", "PEM client certificate, with --key",
     SetConnection<&ConnectionFlags::certificate_file>},
    {"key", 0, "FILE", "", "its PEM key", SetConnection<&ConnectionFlags::key_file>},
    {"config", 0, "FILE", "", "all of the above in a file",
     SetConnection<&ConnectionFlags::config_file>},
};

constexpr char kConfigText[] =
    "What the command line does not say comes from --config, else $FAIRLEADCTL_CONFIG, else\n"
    "~/.config/fairlead/ctl.yaml: endpoint, caFile, tokenFile, certificateFile, keyFile,\n"
    "timeoutSeconds. docs/reference/fairleadctl.md has examples.\n";

bool Belongs(const Flag& flag, const VerbText& verb) {
  std::string_view verbs = flag.verbs;
  while (!verbs.empty()) {
    const std::string_view first = verbs.substr(0, verbs.find(' '));
    if (first == verb.name) return true;
    verbs.remove_prefix(std::min(verbs.size(), first.size() + 1));
  }
  return *flag.verbs == 0;
}

std::string FlagLine(const Flag& flag) {
  std::string line = flag.letter == 0 ? "      " : StrCat("  -", flag.letter, ", ");
  line += StrCat("--", flag.name, *flag.value == 0 ? "" : " ", flag.value);
  line.append(line.size() < 26 ? 26 - line.size() : 1, ' ');
  return StrCat(line, flag.help, "\n");
}

std::string OverallHelp(std::string_view program) {
  std::string text =
      StrCat("Asks a Fairlead endpoint what it knows. Nothing here changes anything but\n",
             "audit and accounts confirm-deletes.\n\n", "usage: ", program, " VERB [FLAGS]\n\n");
  for (const VerbText& verb : kVerbs) {
    std::string line = StrCat("  ", verb.name, " ", verb.arguments);
    line.append(line.size() < 26 ? 26 - line.size() : 1, ' ');
    text += StrCat(line, verb.summary, "\n");
  }
  return StrCat(text, "\n", program, " VERB --help says more. ", program,
                " --version prints the version.\n\n", kConfigText);
}

std::string VerbHelp(const VerbText& verb, std::string_view program) {
  std::string text =
      StrCat(program, " ", verb.name, ": ", verb.summary, "\n\nusage: ", program, " ", verb.name,
             " ", verb.arguments, *verb.arguments == 0 ? "" : " ", "[FLAGS]\n\n", verb.more, "\n");
  for (const Flag& flag : kFlags) {
    if (Belongs(flag, verb)) text += FlagLine(flag);
  }
  return StrCat(text, "\n", kConfigText);
}

const VerbText* FindVerb(std::string_view name) {
  for (const VerbText& verb : kVerbs) {
    if (name == verb.name) return &verb;
  }
  return nullptr;
}

absl::Status NoSuchVerb(std::string_view word, std::string_view program) {
  return absl::InvalidArgumentError(
      StrCat("\"", word, "\" is no verb; did you mean \"",
             base::Nearest(word, {"accounts", "objects", "freshness", "audit", "status", "help"}),
             "\"? `", program, " --help` lists them"));
}

absl::Status NoSuchFlag(std::string_view word, const VerbText& verb, std::string_view program) {
  std::vector<std::string> valid;
  for (const Flag& flag : kFlags) {
    if (word == StrCat("--", flag.name)) {
      return absl::InvalidArgumentError(
          StrCat(word, " is a flag of ", flag.verbs, ", not of ", verb.name));
    }
    if (Belongs(flag, verb)) valid.push_back(StrCat("--", flag.name));
  }
  return absl::InvalidArgumentError(StrCat(word, ": no such flag; did you mean ",
                                           base::Nearest(word, valid), "? `", program, " ",
                                           verb.name, " --help` lists them"));
}

// "--name", "--name=value", "-x", "-xvalue" or "-x=value"; null when there is no such flag.
const Flag* FindFlag(std::string_view word, const VerbText& verb,
                     std::optional<std::string_view>* value) {
  value->reset();
  for (const Flag& flag : kFlags) {
    if (!Belongs(flag, verb)) continue;
    if (word.starts_with("--")) {
      const size_t equals = word.find('=');
      if (word.substr(2, equals == std::string_view::npos ? equals : equals - 2) != flag.name) {
        continue;
      }
      if (equals != std::string_view::npos) *value = word.substr(equals + 1);
      return &flag;
    }
    if (flag.letter == 0 || word[1] != flag.letter) continue;
    if (word.size() > 2) *value = word.substr(word[2] == '=' ? 3 : 2);
    return &flag;
  }
  return nullptr;
}

// Uses words[*at], and the word behind it when the flag's value stands there.
absl::Status ReadFlag(const std::vector<std::string>& words, size_t* at, const VerbText& verb,
                      std::string_view program, Arguments* arguments) {
  const std::string& word = words[*at];
  std::optional<std::string_view> value;
  const Flag* flag = FindFlag(word, verb, &value);
  if (flag == nullptr) return NoSuchFlag(word.substr(0, word.find('=')), verb, program);
  const std::string name = StrCat("--", flag->name);
  if (*flag->value == 0) {
    if (value) return absl::InvalidArgumentError(StrCat(name, " takes no value"));
    return flag->set(*arguments, "");
  }
  if (!value) {
    if (*at + 1 >= words.size()) {
      return absl::InvalidArgumentError(StrCat(name, " needs a value: ", name, " ", flag->value));
    }
    value = words[++*at];
  }
  return base::WithContext(flag->set(*arguments, *value), name);
}

// `accounts confirm-deletes NAME` is a verb of its own.
absl::Status TakeSubverb(Arguments* arguments) {
  ObjectFlags& filter = arguments->objects;
  std::vector<std::string>& names = arguments->names;
  if (arguments->verb == Verb::kAccounts) {
    if (names.empty() || names[0] != "confirm-deletes") {
      if (filter.kind.empty() && !filter.group) return absl::OkStatus();
      return absl::InvalidArgumentError("--kind and --group are of accounts confirm-deletes");
    }
    arguments->verb = Verb::kConfirmDeletes;
    names.erase(names.begin());
    if (names.size() == 1) return absl::OkStatus();
    return absl::InvalidArgumentError("accounts confirm-deletes takes one NAME");
  }
  if (arguments->verb != Verb::kAudit) return absl::OkStatus();
  if (names.empty() || names.size() > 2) {
    return absl::InvalidArgumentError("audit takes a NAME and perhaps a KIND");
  }
  if (names.size() == 2) filter.kind = names[1];
  names.resize(1);
  return absl::OkStatus();
}

absl::Status CheckTogether(const Arguments& arguments) {
  if (arguments.verb == Verb::kObjects && !arguments.names.empty()) {
    return absl::InvalidArgumentError(StrCat("objects takes no names; did you mean --name ",
                                             arguments.names[0], " or --kind ", arguments.names[0],
                                             "?"));
  }
  if (arguments.objects.bodies && arguments.output == Output::kTable) {
    return absl::InvalidArgumentError(
        "--body needs -o json or -o yaml: a table has no room for it");
  }
  return absl::OkStatus();
}

Arguments Help(std::string text) {
  Arguments arguments;
  arguments.help_text = std::move(text);
  return arguments;
}

}  // namespace

std::string ProgramName(std::string_view argv0) {
  argv0 = argv0.substr(argv0.rfind('/') + 1);  // npos + 1 is 0
  return argv0 == "kubectl-fairlead" ? "kubectl fairlead" : "fairleadctl";
}

absl::StatusOr<Arguments> ParseArguments(const std::vector<std::string>& words,
                                         std::string_view program) {
  if (words.empty()) {
    return absl::InvalidArgumentError(StrCat("say what to do; `", program, " --help` lists it"));
  }
  Arguments arguments;
  if (words[0] == "--version" || words[0] == "version") {
    arguments.verb = Verb::kVersion;
    return arguments;
  }
  if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    if (words.size() < 2) return Help(OverallHelp(program));
    const VerbText* verb = FindVerb(words[1]);
    if (verb == nullptr) return NoSuchVerb(words[1], program);
    return Help(VerbHelp(*verb, program));
  }
  if (words[0].starts_with("-")) {
    return absl::InvalidArgumentError(StrCat("the verb comes first: `", program, " VERB ", words[0],
                                             " ...`; `", program, " --help` lists the verbs"));
  }
  const VerbText* verb = FindVerb(words[0]);
  if (verb == nullptr) return NoSuchVerb(words[0], program);
  arguments.verb = verb->verb;
  for (size_t at = 1; at < words.size(); ++at) {
    if (words[at] == "--help" || words[at] == "-h") return Help(VerbHelp(*verb, program));
    if (words[at].size() > 1 && words[at][0] == '-') {
      FAIRLEAD_RETURN_IF_ERROR(ReadFlag(words, &at, *verb, program, &arguments));
    } else {
      arguments.names.push_back(words[at]);
    }
  }
  FAIRLEAD_RETURN_IF_ERROR(TakeSubverb(&arguments));
  FAIRLEAD_RETURN_IF_ERROR(CheckTogether(arguments));
  return arguments;
}

}  // namespace fairlead::cli
