// Microseconds of CPU for one watch frame of a pod: view, cut ranges, splice, content hash.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "bench/corpus.h"
#include "lib/json/object_view.h"

namespace fairlead::bench {
namespace {

double CpuMicros() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

int Main() {
  const Corpus corpus(1, 200);
  std::vector<std::string> frames;
  size_t bytes = 0;
  for (uint64_t i = 0; i < 2000; ++i) {
    std::string frame = "{\"type\":\"MODIFIED\",\"object\":";
    corpus.AppendPod(i, 1, i + 1, &frame);
    frames.push_back(frame + "}");
    bytes += frames.back().size();
  }
  json::ObjectReader reader;
  base::Sha256Trunc128Stream hash;
  std::string body;
  double view = 1e9;
  double all = 1e9;
  for (int pass = 0; pass < 9; ++pass) {
    const double start = CpuMicros();
    for (const std::string& frame : frames) {
      if (!reader.ReadWatchEvent(frame, {}).ok()) return 1;
    }
    const double middle = CpuMicros();
    for (const std::string& frame : frames) {
      const auto event = reader.ReadWatchEvent(frame, {});
      if (!event.ok()) return 1;
      body.clear();
      Splice(event->object.text, event->object.cuts, &body);
      HashSpliced(event->object.text, event->object.cuts, &hash);
    }
    view = std::min(view, middle - start);
    all = std::min(all, CpuMicros() - middle);
  }
  const auto count = static_cast<double>(frames.size());
  std::printf("frame %.0f bytes: view and cuts %.2f us, with splice and hash %.2f us\n",
              static_cast<double>(bytes) / count, view / count, all / count);
  return 0;
}

}  // namespace
}  // namespace fairlead::bench

int main() { return fairlead::bench::Main(); }
