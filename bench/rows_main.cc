// B9 of docs/benchmarks.md: rows on their way into a database by the endpoint's writer, beside two
// floors in the same run and on the same server.
//
// usage: bench-rows [--engine Postgres|Mariadb|Sqlite] [--pairs N] [--objects N] [--bytes N]
//        bench-rows --minutes N [--engine E] [--objects N] [--rate ROWS_A_SECOND]   growth of the
//        table
#include <stdlib.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/rows.h"
#include "bench/rows_floor.h"
#include "lib/base/status.h"
#include "lib/log/log.h"

namespace fairlead::bench {
namespace {

constexpr double kMergeBar = 0.70;  // of the merge's rows a second
constexpr double kSingleBar = 12;   // times less of the server's time than row at a time
constexpr double kGrowthBar = 2;
constexpr uint64_t kSingleRows = 2000;  // row at a time: it is slow

struct Options {
  std::vector<Engine> engines = {Engine::kPostgres, Engine::kMysql};
  std::vector<size_t> sizes = {1000, 4300, 8900};
  uint64_t objects = 10'000;
  int pairs = 3;
  double minutes = 0;
  double rate = 2000;
};

void Print(const char* who, const char* what, uint64_t rows, const RowsCost& cost) {
  std::printf(
      "  %-13s %-9s %7.0f rows/s, CPU a row: client %5.1f us, server %6.1f us; log %5.0f "
      "B/row; a transaction p50 %6.2f ms, p99 %6.2f ms\n",
      who, what, static_cast<double>(rows) / cost.seconds, cost.client_micros, cost.server_micros,
      cost.log_bytes, cost.p50_ms, cost.p99_ms);
  std::fflush(stdout);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Verdict(const std::string& name, const std::vector<double>& ratios, double bar) {
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  std::printf("%s: ratio %.2f (%.2f to %.2f); bar %.2f: %s\n", name.c_str(), Median(ratios), *least,
              *most, bar, Median(ratios) >= bar ? "met" : "MISSED");
  std::fflush(stdout);
}

absl::Status RunSize(const Options& options, RowsDatabase* database, size_t bytes) {
  const std::string name =
      base::StrCat("B9 ", test::NameOf(database->engine), ", ", bytes, " byte bodies");
  std::printf("%s, %llu rows, %d pairs\n", name.c_str(),
              static_cast<unsigned long long>(options.objects), options.pairs);
  const RowsWorkload workload{.objects = options.objects, .body_bytes = bytes};
  RowsWorkload few = workload;
  few.objects = std::min(options.objects, kSingleRows);
  std::vector<double> rates, costs, singles;  // of inserts and updates together
  for (int pair = 0; pair < options.pairs; ++pair) {
    std::vector<RowsCost> ours;
    FloorCost merge;
    for (int turn = 0; turn < 2; ++turn) {
      FAIRLEAD_RETURN_IF_ERROR(database->Renew());
      if ((turn == 0) == (pair % 2 == 0)) {
        FAIRLEAD_ASSIGN_OR_RETURN(ours, RunWriter(*database, workload));
      } else {
        FAIRLEAD_ASSIGN_OR_RETURN(merge, RunMerge(*database, workload));
      }
    }
    FAIRLEAD_RETURN_IF_ERROR(database->Renew());
    FAIRLEAD_ASSIGN_OR_RETURN(const FloorCost single, RunRowAtATime(*database, few));
    for (size_t i = 0; i < ours.size(); ++i)
      Print("ours", NameOf(kPhases[i]), workload.objects, ours[i]);
    Print("merge", "insert", workload.objects, merge.insert);
    Print("merge", "update", workload.objects, merge.update);
    Print("row at a time", "insert", few.objects, single.insert);
    Print("row at a time", "update", few.objects, single.update);
    using Part = double RowsCost::*;
    const auto mine = [&](Part part) { return ours[0].*part + ours[2].*part; };
    const auto floor = [&](Part part) { return merge.insert.*part + merge.update.*part; };
    rates.push_back(floor(&RowsCost::seconds) / mine(&RowsCost::seconds));
    costs.push_back((floor(&RowsCost::client_micros) + floor(&RowsCost::server_micros)) /
                    (mine(&RowsCost::client_micros) + mine(&RowsCost::server_micros)));
    singles.push_back((single.insert.server_micros + single.update.server_micros) /
                      mine(&RowsCost::server_micros));
  }
  Verdict(name + ", rows/s to the merge's", rates, kMergeBar);
  Verdict(name + ", CPU of the merge, client and server, to ours", costs, kMergeBar);
  Verdict(name + ", server CPU of row at a time to ours", singles, kSingleBar);
  return absl::OkStatus();
}

absl::Status RunTable(const Options& options, RowsDatabase* database) {
  const RowsWorkload workload{.objects = options.objects};
  FAIRLEAD_ASSIGN_OR_RETURN(const Growth growth,
                            RunGrowth(*database, workload, options.minutes * 60, options.rate));
  const double times =
      static_cast<double>(growth.bytes_after) / static_cast<double>(growth.bytes_before);
  std::printf(
      "B9 %s, table of %llu rows after %llu changes in %.1f minutes: %.0f MB, before %.0f "
      "MB, ratio %.2f; bar 2.00: %s\n",
      test::NameOf(database->engine).c_str(), static_cast<unsigned long long>(options.objects),
      static_cast<unsigned long long>(growth.rows_changed), options.minutes,
      static_cast<double>(growth.bytes_after) / 1e6, static_cast<double>(growth.bytes_before) / 1e6,
      times, times < kGrowthBar ? "met" : "MISSED");
  return absl::OkStatus();
}

absl::Status Run(const Options& options, Engine engine, const std::string& dir) {
  FAIRLEAD_ASSIGN_OR_RETURN(RowsDatabase database, RowsDatabase::Make(engine, dir));
  if (options.minutes > 0) return RunTable(options, &database);
  for (const size_t bytes : options.sizes)
    FAIRLEAD_RETURN_IF_ERROR(RunSize(options, &database, bytes));
  return absl::OkStatus();
}

bool Parse(int argc, char** argv, Options* options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--engine") {
      options->engines.clear();
      for (const Engine one : {Engine::kSqlite, Engine::kPostgres, Engine::kMysql}) {
        if (test::NameOf(one) == value) options->engines = {one};
      }
      if (options->engines.empty()) return false;
    } else if (name == "--pairs") {
      options->pairs = std::max(1, std::atoi(value.c_str()));
    } else if (name == "--objects") {
      options->objects = static_cast<uint64_t>(std::max(500, std::atoi(value.c_str())));
    } else if (name == "--bytes") {
      options->sizes = {static_cast<size_t>(std::clamp(std::atoi(value.c_str()), 100, 8900))};
    } else if (name == "--minutes") {
      options->minutes = std::atof(value.c_str());
    } else if (name == "--rate") {
      options->rate = std::max(1.0, std::atof(value.c_str()));
    } else {
      return false;
    }
  }
  return argc % 2 == 1;
}

int Main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, &options)) {
    std::fputs(
        "usage: bench-rows [--engine Postgres|Mariadb|Sqlite] [--pairs N] [--objects N] "
        "[--bytes N] [--minutes N [--rate ROWS_A_SECOND]]\n",
        stderr);
    return 2;
  }
  log::SetLevel("error");
  int failed = 0;
  for (const Engine engine : options.engines) {
    std::string dir = std::filesystem::temp_directory_path() / "fairlead-rows.XXXXXX";
    if (mkdtemp(dir.data()) == nullptr) return 1;
    const absl::Status done = Run(options, engine, dir);
    if (!done.ok()) {
      std::printf("B9 %s: VOID: %s\n", test::NameOf(engine).c_str(), done.ToString().c_str());
      failed = 1;
    }
    std::filesystem::remove_all(dir);
  }
  return failed;
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) { return fairlead::bench::Main(argc, argv); }
