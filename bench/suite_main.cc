// Runs benchmarks of docs/benchmarks.md side by side with the floor pipe and the rivals and ends
// with one line for each comparison: name, ours, other, ratio.
//
// usage: bench-suite [--pairs N] [--events N] [--rival-events N] [--beside floor,R1a,R1b]
//                    [--wrap PROFILER] [B1|B3]...      none = all
//
// Without --beside: the floor, and the rivals if they are built (make bench-rivals). With --wrap
// "valgrind --tool=callgrind ..." the subjects run under it; the numbers mean nothing then, its
// report does.
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "bench/pki.h"
#include "bench/run.h"
#include "lib/base/strings.h"
#include "lib/log/log.h"

namespace fairlead::bench {
namespace {

constexpr double kFloorLimitMicros = 20;
constexpr double kEventBar = 2.5;    // times the floor
constexpr double kMemoryBarMb = 40;  // at each size
// Goals of performance.md, section 4b: how many times the rival's is ours.
constexpr double kEventGoal[] = {20, 10};  // R1a, R1b
constexpr double kMemoryGoal[] = {200, 60};
constexpr uint64_t kMemoryRivalEvents = 5000;
constexpr uint64_t kMostRivalObjects = 30'000;  // 100,000 in a dynamic informer want 16 GB

struct Spread {
  explicit Spread(std::vector<double> given) : all(std::move(given)) {
    std::sort(all.begin(), all.end());
  }
  [[nodiscard]] double median() const { return all[all.size() / 2]; }
  [[nodiscard]] double least() const { return all.front(); }
  [[nodiscard]] double most() const { return all.back(); }
  std::vector<double> all;
};

double Megabytes(int64_t kib) { return static_cast<double>(kib) * 1024 / 1e6; }

using Results = std::map<Who, std::vector<RunResult>>;
using Value = double (*)(const RunResult&);

struct Suite {
  RunOptions run;
  int pairs = 5;
  uint64_t events = 100'000;
  uint64_t rival_events = 25'000;
  std::vector<Who> beside;
  std::vector<std::string> verdicts;
  bool void_run = false;

  [[nodiscard]] bool has(Who who) const {
    return std::find(beside.begin(), beside.end(), who) != beside.end();
  }
};

bool IsRival(Who who) { return who == Who::kDynamic || who == Who::kTyped; }

void PrintMachine() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  std::string model = "unknown processor";
  while (std::getline(cpuinfo, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    model = line.substr(line.find(':') + 2);
    break;
  }
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  utsname name{};
  uname(&name);
  std::printf("machine: %s, %ld cores, Linux %s, load %.1f at the start\n", model.c_str(),
              sysconf(_SC_NPROCESSORS_ONLN), name.release, load);
  std::fflush(stdout);
}

void Print(const Workload& workload, const char* who, const RunResult& result) {
  std::printf(
      "  %-5s sync %6.2f us/object, events %6.2f us, %6.0f events/s, peak %6.1f MB after the "
      "sync, %6.1f MB in all, %6.1f MB at the end, %llu of %llu changes coalesced, %.0f "
      "bytes/event "
      "up\n",
      who, result.sync_micros / static_cast<double>(workload.objects), result.event_micros,
      static_cast<double>(workload.events) / result.wall_seconds, Megabytes(result.sync_peak_kib),
      Megabytes(result.peak_kib), Megabytes(result.resident_kib),
      static_cast<unsigned long long>(workload.events - result.changes),
      static_cast<unsigned long long>(workload.events),
      static_cast<double>(result.payload_bytes) /
          static_cast<double>(workload.events + workload.objects));
  std::fflush(stdout);
}

// ABBA: ours and the others in order, and in every other round backwards. A run that is void ends
// the benchmark; its results are empty then.
Results RunRounds(Suite* suite, const std::string& name, const Workload& workload,
                  const std::vector<Who>& beside, uint64_t rival_events, bool stall = false) {
  std::printf("%s: %llu objects, %llu events (rivals %llu), %d rounds\n", name.c_str(),
              static_cast<unsigned long long>(workload.objects),
              static_cast<unsigned long long>(workload.events),
              static_cast<unsigned long long>(rival_events), suite->pairs);
  std::vector<Who> order = {Who::kAgent};
  order.insert(order.end(), beside.begin(), beside.end());
  Results results;
  suite->run.stall = stall;
  for (int round = 0; round < suite->pairs; ++round) {
    for (const Who who : order) {
      Workload own = workload;
      if (IsRival(who)) own.events = std::min(own.events, rival_events);
      auto result = RunOnce(suite->run, own, who);
      if (who != Who::kAgent && result.ok() && result->changes != own.events) {
        result = absl::DataLossError("it lost events, and does not coalesce any");
      }
      if (!result.ok()) {
        std::printf("%s: VOID: %s: %s\n", name.c_str(), NameOf(who),
                    std::string(base::View(result.status().message())).c_str());
        suite->void_run = true;
        return {};
      }
      Print(own, NameOf(who), *result);
      results[who].push_back(*result);
    }
    std::reverse(order.begin(), order.end());
  }
  return results;
}

Spread Of(const std::vector<RunResult>& results, Value value) {
  std::vector<double> all;
  all.reserve(results.size());
  for (const RunResult& one : results) all.push_back(value(one));
  return Spread(all);
}

// "12.3 us (11.0 to 14.0)"
std::string Text(const Spread& spread, const char* unit) {
  char text[100];
  std::snprintf(text, sizeof text, "%.1f %s (%.1f to %.1f)", spread.median(), unit, spread.least(),
                spread.most());
  return text;
}

// `over` to `under`, each of one round with that of the same round: that of the medians, least,
// most.
std::string Ratio(const Results& results, Who over, Who under, Value value) {
  std::vector<double> each;
  for (size_t i = 0; i < results.at(over).size(); ++i) {
    each.push_back(value(results.at(over)[i]) / value(results.at(under)[i]));
  }
  const Spread spread(each);
  char text[100];
  std::snprintf(text, sizeof text, "%.2f (%.2f to %.2f)",
                Of(results.at(over), value).median() / Of(results.at(under), value).median(),
                spread.least(), spread.most());
  return text;
}

void AddVerdict(Suite* suite, const std::string& name, const char* unit, const Results& results,
                Value value, const std::string& bar) {
  if (!suite->has(Who::kFloor)) return;
  suite->verdicts.push_back(
      base::StrCat(name, ": ours ", Text(Of(results.at(Who::kAgent), value), unit), ", floor ",
                   Text(Of(results.at(Who::kFloor), value), unit), ", ratio ",
                   Ratio(results, Who::kAgent, Who::kFloor, value), "; ", bar));
}

const char* Met(bool met) { return met ? "met" : "MISSED"; }

void RivalEventVerdicts(Suite* suite, const Results& results, Value micros) {
  const double ours = Of(results.at(Who::kAgent), micros).median();
  for (const Who who : {Who::kDynamic, Who::kTyped}) {
    if (!suite->has(who)) continue;
    const Spread theirs = Of(results.at(who), micros);
    const double goal = kEventGoal[who == Who::kTyped ? 1 : 0];
    suite->verdicts.push_back(base::StrCat(
        "B1 CPU per event: ours ", Text(Of(results.at(Who::kAgent), micros), "us"), ", ",
        NameOf(who), " ", Text(theirs, "us"), ", ", Ratio(results, who, Who::kAgent, micros),
        " times ours; goal ", static_cast<int>(goal), ": ", Met(theirs.median() >= goal * ours)));
  }
}

void EventCost(Suite* suite) {
  const Results results = RunRounds(suite, "B1", {.objects = 5000, .events = suite->events},
                                    suite->beside, suite->rival_events);
  if (results.empty()) return;
  const auto micros = [](const RunResult& one) { return one.event_micros; };
  RivalEventVerdicts(suite, results, micros);
  if (!suite->has(Who::kFloor)) return;
  const double ours = Of(results.at(Who::kAgent), micros).median();
  const double floor = Of(results.at(Who::kFloor), micros).median();
  AddVerdict(suite, "B1 CPU per event", "us", results, micros,
             base::StrCat("bar 2.5x the floor: ", Met(ours <= kEventBar * floor)));
  if (floor > kFloorLimitMicros) {
    suite->verdicts.back() += "; VOID: the floor is over 20 us";
    suite->void_run = true;
  }
}

double PeakMb(const RunResult& one) { return Megabytes(one.peak_kib); }

// Bytes an object: what the peak grows by between two sizes. Ours hardly grows, so that its own
// spread counts against it: the most at the larger size, the least at the smaller.
void MemoryPerObject(Suite* suite, const std::map<uint64_t, Results>& sizes) {
  const auto [small, few] = *sizes.begin();
  const auto [large, many] = *sizes.rbegin();
  const double ours =
      (Of(many.at(Who::kAgent), PeakMb).most() - Of(few.at(Who::kAgent), PeakMb).least()) * 1e6 /
      static_cast<double>(large - small);
  for (const Who who : {Who::kDynamic, Who::kTyped}) {
    if (!suite->has(who)) continue;
    const std::vector<RunResult>& more = sizes.at(kMostRivalObjects).at(who);
    std::vector<double> each;
    for (size_t i = 0; i < more.size(); ++i) {
      each.push_back((PeakMb(more[i]) - PeakMb(few.at(who)[i])) * 1e3 /
                     static_cast<double>(kMostRivalObjects - small));
    }
    const double theirs = Spread(each).median() * 1e3;
    const double goal = kMemoryGoal[who == Who::kTyped ? 1 : 0];
    char times[40];
    std::snprintf(times, sizeof times, "%.1f bytes, %.0f times less", ours, theirs / ours);
    suite->verdicts.push_back(base::StrCat("B3 peak memory per object: ", NameOf(who), " ",
                                           Text(Spread(each), "KB"), ", ours at most ", times,
                                           "; goal ", static_cast<int>(goal), ": ",
                                           Met(theirs >= goal * ours)));
  }
}

// With an endpoint that hangs for a while, so that what may be pending is.
void Memory(Suite* suite) {
  std::map<uint64_t, Results> sizes;
  for (const uint64_t objects : {uint64_t{10'000}, kMostRivalObjects, uint64_t{100'000}}) {
    std::vector<Who> beside = suite->beside;
    if (objects > kMostRivalObjects) {
      beside.erase(std::remove_if(beside.begin(), beside.end(), IsRival), beside.end());
    }
    const std::string name = base::StrCat("B3 peak memory, ", objects, " objects");
    sizes[objects] = RunRounds(suite, name, {.objects = objects, .events = 20'000}, beside,
                               kMemoryRivalEvents, true);
    if (sizes[objects].empty()) return;
    const Spread ours = Of(sizes[objects].at(Who::kAgent), PeakMb);
    AddVerdict(suite, name, "MB", sizes[objects], PeakMb,
               base::StrCat("bar 40 MB: ", Met(ours.most() <= kMemoryBarMb)));
  }
  MemoryPerObject(suite, sizes);
}

int Usage() {
  std::fputs(
      "usage: bench-suite [--pairs N] [--events N] [--rival-events N] [--beside floor,R1a,R1b] "
      "[--wrap PROFILER] [B1|B3]...\n",
      stderr);
  return 2;
}

bool Parse(int argc, char** argv, Suite* suite, std::vector<std::string>* names) {
  const auto number = [](const char* text) { return std::max(1, std::atoi(text)); };
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "B1" || argument == "B3") {
      names->push_back(argument);
      continue;
    }
    if (++i == argc) return false;
    if (argument == "--pairs") {
      suite->pairs = number(argv[i]);
    } else if (argument == "--events") {
      suite->events = static_cast<uint64_t>(number(argv[i]));
    } else if (argument == "--rival-events") {
      suite->rival_events = static_cast<uint64_t>(number(argv[i]));
    } else if (argument == "--wrap") {
      suite->run.wrap = absl::StrSplit(argv[i], ' ', absl::SkipEmpty());
    } else if (argument == "--beside") {
      const std::vector<std::string> wanted = absl::StrSplit(argv[i], ',');
      for (const Who who : {Who::kFloor, Who::kDynamic, Who::kTyped}) {
        if (std::find(wanted.begin(), wanted.end(), NameOf(who)) != wanted.end()) {
          suite->beside.push_back(who);
        }
      }
      if (suite->beside.size() != wanted.size()) return false;
    } else {
      return false;
    }
  }
  return true;
}

// What there is to run beside ours.
void FillBeside(Suite* suite) {
  if (!suite->beside.empty()) return;
  suite->beside = {Who::kFloor};
  if (std::filesystem::exists(suite->run.bin + "/bench-rivals")) {
    suite->beside.insert(suite->beside.end(), {Who::kDynamic, Who::kTyped});
  } else {
    std::printf("SKIPPED: R1a and R1b: make bench-rivals builds them\n");
  }
}

}  // namespace

int Main(int argc, char** argv) {
  Suite suite;
  std::vector<std::string> names;
  if (!Parse(argc, argv, &suite, &names)) return Usage();
  if (names.empty()) names = {"B1", "B3"};
  log::SetLevel("error");
  char dir[] = "/tmp/fairlead-bench.XXXXXX";
  if (mkdtemp(dir) == nullptr) return 1;
  suite.run.dir = dir;
  suite.run.bin = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  FillBeside(&suite);
  if (const absl::Status written = WriteCertificates(dir); !written.ok()) {
    std::fprintf(stderr, "bench-suite: %s\n", written.ToString().c_str());
    return 1;
  }
  PrintMachine();
  for (const std::string& name : names) name == "B1" ? EventCost(&suite) : Memory(&suite);
  for (const std::string& verdict : suite.verdicts) std::printf("%s\n", verdict.c_str());
  if (suite.void_run) {
    std::printf("VOID: see above; logs in %s\n", dir);
    return 1;
  }
  std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace fairlead::bench

int main(int argc, char** argv) { return fairlead::bench::Main(argc, argv); }
