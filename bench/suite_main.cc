// Runs benchmarks of docs/benchmarks.md side by side with the floor pipe and ends with one line
// each: name, ours, other, ratio.
//
// usage: bench-suite [--pairs N] [--events N] [--wrap PROFILER] [B1|B3]...      none = all
//
// With --wrap "valgrind --tool=callgrind ..." the subjects run under it; the numbers mean nothing
// then, its report does.
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
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

struct Suite {
  RunOptions run;
  int pairs = 5;
  uint64_t events = 100'000;
  std::vector<std::string> verdicts;
  bool void_run = false;
};

struct Pairs {
  std::vector<RunResult> ours;
  std::vector<RunResult> floor;
  [[nodiscard]] bool ok() const { return !ours.empty() && ours.size() == floor.size(); }
};

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
      "  %-5s sync %6.2f us/object, events %6.2f us, %6.0f events/s, peak %4.1f MB after the "
      "sync, %4.1f MB in all, %llu of %llu changes coalesced, %.0f bytes/event up\n",
      who, result.sync_micros / static_cast<double>(workload.objects), result.event_micros,
      static_cast<double>(workload.events) / result.wall_seconds, Megabytes(result.sync_peak_kib),
      Megabytes(result.peak_kib), static_cast<unsigned long long>(workload.events - result.changes),
      static_cast<unsigned long long>(workload.events),
      static_cast<double>(result.payload_bytes) /
          static_cast<double>(workload.events + workload.objects));
  std::fflush(stdout);
}

// ABBA: ours first in every other pair. A run that is void ends the benchmark.
Pairs RunPairs(Suite* suite, const char* name, const Workload& workload, bool stall = false) {
  std::printf("%s: %llu objects, %llu events, %d pairs\n", name,
              static_cast<unsigned long long>(workload.objects),
              static_cast<unsigned long long>(workload.events), suite->pairs);
  Pairs pairs;
  suite->run.stall = stall;
  for (int i = 0; i < 2 * suite->pairs; ++i) {
    const bool ours = (i % 4 == 0) || (i % 4 == 3);
    auto result = RunOnce(suite->run, workload, ours ? Who::kAgent : Who::kFloor);
    if (!ours && result.ok() && result->changes != workload.events) {
      result = absl::DataLossError("it lost events, and does not coalesce any");
    }
    if (!result.ok()) {
      std::printf("%s: VOID: %s: %s\n", name, ours ? "agent" : "floor",
                  std::string(base::View(result.status().message())).c_str());
      suite->void_run = true;
      return {};
    }
    Print(workload, ours ? "agent" : "floor", *result);
    (ours ? pairs.ours : pairs.floor).push_back(*result);
  }
  return pairs;
}

Spread Of(const std::vector<RunResult>& results, double (*value)(const RunResult&)) {
  std::vector<double> all;
  for (const RunResult& one : results) all.push_back(value(one));
  return Spread(all);
}

// The ratio is that of the medians, its spread that of the pairs.
void AddVerdict(Suite* suite, const std::string& name, const char* unit, const Pairs& pairs,
                double (*value)(const RunResult&), const std::string& bar) {
  const Spread ours = Of(pairs.ours, value);
  const Spread other = Of(pairs.floor, value);
  std::vector<double> each;
  for (size_t i = 0; i < pairs.ours.size(); ++i) {
    each.push_back(value(pairs.ours[i]) / value(pairs.floor[i]));
  }
  const Spread ratio(each);
  char text[400];
  std::snprintf(text, sizeof text,
                "%s: ours %.1f %s (%.1f to %.1f), floor %.1f %s (%.1f to %.1f), ratio %.2f "
                "(%.2f to %.2f); %s",
                name.c_str(), ours.median(), unit, ours.least(), ours.most(), other.median(), unit,
                other.least(), other.most(), ours.median() / other.median(), ratio.least(),
                ratio.most(), bar.c_str());
  suite->verdicts.emplace_back(text);
}

void EventCost(Suite* suite) {
  const Pairs pairs = RunPairs(suite, "B1", {.objects = 5000, .events = suite->events});
  if (!pairs.ok()) return;
  const auto micros = [](const RunResult& one) { return one.event_micros; };
  const Spread ours = Of(pairs.ours, micros);
  const Spread floor = Of(pairs.floor, micros);
  const bool met = ours.median() <= kEventBar * floor.median();
  AddVerdict(suite, "B1 CPU per event", "us", pairs, micros,
             met ? "bar 2.5x the floor: met" : "bar 2.5x the floor: MISSED");
  if (floor.median() > kFloorLimitMicros) {
    suite->verdicts.back() += "; VOID: the floor is over 20 us";
    suite->void_run = true;
  }
}

// With an endpoint that hangs for a while, so that what may be pending is.
void Memory(Suite* suite) {
  for (const uint64_t objects : {10'000, 100'000}) {
    const std::string name = base::StrCat("B3 peak memory, ", objects, " objects");
    const Pairs pairs = RunPairs(suite, name.c_str(), {.objects = objects, .events = 20'000}, true);
    if (!pairs.ok()) return;
    const auto peak = [](const RunResult& one) { return Megabytes(one.peak_kib); };
    const Spread ours = Of(pairs.ours, peak);
    AddVerdict(suite, name, "MB", pairs, peak,
               ours.most() <= kMemoryBarMb ? "bar 40 MB: met" : "bar 40 MB: MISSED");
  }
}

int Usage() {
  std::fputs("usage: bench-suite [--pairs N] [--events N] [--wrap PROFILER] [B1|B3]...\n", stderr);
  return 2;
}

}  // namespace

int Main(int argc, char** argv) {
  Suite suite;
  std::vector<std::string> names;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "B1" || argument == "B3") {
      names.push_back(argument);
    } else if (argument == "--pairs" && i + 1 < argc) {
      suite.pairs = std::max(1, std::atoi(argv[++i]));
    } else if (argument == "--events" && i + 1 < argc) {
      suite.events = static_cast<uint64_t>(std::max(1, std::atoi(argv[++i])));
    } else if (argument == "--wrap" && i + 1 < argc) {
      suite.run.wrap = absl::StrSplit(argv[++i], ' ', absl::SkipEmpty());
    } else {
      return Usage();
    }
  }
  if (names.empty()) names = {"B1", "B3"};
  log::SetLevel("error");
  char dir[] = "/tmp/fairlead-bench.XXXXXX";
  if (mkdtemp(dir) == nullptr) return 1;
  suite.run.dir = dir;
  suite.run.bin = std::filesystem::read_symlink("/proc/self/exe").parent_path();
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
