// Microseconds of CPU for one watch frame of a pod: view, cut ranges, splice, content hash; and for
// compressing what is sent of it, as the agent does and with plain zstd level 1.
#include <zstd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "bench/corpus.h"
#include "lib/json/object_view.h"
#include "lib/wire/codec.h"

namespace fairlead::bench {
namespace {

double CpuMicros() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

constexpr int kPasses = 9;

// Of batches of 32 bodies; the encoder's share without the making of the message's bytes.
bool PrintCompression(const std::vector<std::string>& bodies) {
  std::vector<agent::v1::Payload> payloads;
  std::vector<std::string> raw;
  for (size_t i = 0; i + 32 <= bodies.size(); i += 32) {
    agent::v1::Payload& payload = payloads.emplace_back();
    for (size_t k = i; k < i + 32; ++k) {
      payload.add_entries()->mutable_change()->set_body(bodies[k]);
    }
    raw.push_back(payload.SerializeAsString());
  }
  double bytes_only = 1e9;
  double ours = 1e9;
  double plain = 1e9;
  size_t our_size = 0;
  size_t plain_size = 0;
  std::string out(ZSTD_compressBound(raw[0].size() * 2), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  for (int pass = 0; pass < kPasses; ++pass) {
    our_size = plain_size = 0;
    const double start = CpuMicros();
    for (const agent::v1::Payload& one : payloads) {
      if (!wire::EncodePayload(one, agent::v1::CODEC_NONE).ok()) return false;
    }
    const double second = CpuMicros();
    for (const agent::v1::Payload& one : payloads) {
      const auto encoded = wire::EncodePayload(one, agent::v1::CODEC_ZSTD);
      if (!encoded.ok()) return false;
      our_size += encoded->bytes.size();
    }
    const double third = CpuMicros();
    for (const std::string& one : raw) {
      plain_size += ZSTD_compressCCtx(context, out.data(), out.size(), one.data(), one.size(), 1);
    }
    bytes_only = std::min(bytes_only, second - start);
    ours = std::min(ours, third - second);
    plain = std::min(plain, CpuMicros() - third);
  }
  ZSTD_freeCCtx(context);
  const auto events = static_cast<double>(payloads.size() * 32);
  std::printf(
      "zstd in batches of 32: ours %.2f us and %.0f bytes an event, level 1 %.2f us and %.0f\n",
      (ours - bytes_only) / events, static_cast<double>(our_size) / events, plain / events,
      static_cast<double>(plain_size) / events);
  return true;
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
  for (int pass = 0; pass < kPasses; ++pass) {
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
  std::vector<std::string> bodies;
  for (const std::string& frame : frames) {
    const auto event = reader.ReadWatchEvent(frame, {});
    if (!event.ok()) return 1;
    Splice(event->object.text, event->object.cuts, &bodies.emplace_back());
  }
  return PrintCompression(bodies) ? 0 : 1;
}

}  // namespace
}  // namespace fairlead::bench

int main() { return fairlead::bench::Main(); }
