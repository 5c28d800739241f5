// The replay API server of its own, for benchmarks that run whole programs against it: makes
// certificates and DIR/kubeconfig, prints its port, and serves until it is ended.
//
// usage: bench-replay OBJECTS DIR      DIR is an existing folder
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "bench/pki.h"
#include "bench/replay_api.h"
#include "bench/replay_server.h"
#include "lib/base/status.h"

namespace fairlead::bench {
namespace {

absl::Status Serve(uint64_t objects, const std::string& dir) {
  FAIRLEAD_RETURN_IF_ERROR(WriteCertificates(dir));
  ReplayApi api({.objects = objects, .events = 0});
  FAIRLEAD_ASSIGN_OR_RETURN(const auto server, ReplayServer::Start(dir, &api));
  FAIRLEAD_RETURN_IF_ERROR(WriteKubeconfig(dir, server->port()));
  std::printf("%d\n", server->port());
  std::fflush(stdout);
  for (;;) pause();
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: bench-replay OBJECTS DIR\n", stderr);
    return 2;
  }
  const absl::Status status =
      fairlead::bench::Serve(static_cast<uint64_t>(std::max(1, std::atoi(argv[1]))), argv[2]);
  std::fprintf(stderr, "bench-replay: %s\n", status.ToString().c_str());
  return 1;
}
