#include "bench/run.h"

#include <chrono>
#include <initializer_list>
#include <thread>
#include <vector>

#include "bench/pki.h"
#include "bench/replay_server.h"
#include "bench/sink.h"
#include "bench/subject.h"
#include "endpoint/grpc/server.h"
#include "lib/base/status.h"
#include "lib/net/loop_thread.h"

namespace fairlead::bench {
namespace {

using base::StrCat;

absl::Status WriteAgentFiles(const std::string& dir, int api_port, int sink_port) {
  FAIRLEAD_RETURN_IF_ERROR(WriteKubeconfig(dir, api_port));
  return WriteFile(dir + "/agent.yaml",
                   StrCat("endpoints: [\"127.0.0.1:", sink_port, "\"]\nserverName: localhost\n",
                          "trustBundleFile: \"", dir, "/ca.crt\"\nidentity: {name: bench, dir: \"",
                          dir, "/identity\"}\naccounts:\n  - name: bench\n",
                          "    connection: {kubeconfigFile: \"", dir, "/kubeconfig\"}\n"));
}

using Wait = bool (Sink::*)(int64_t);

// Waits for the end of a phase, for a fault, or for the subject's death.
absl::Status Await(Sink* sink, Wait wait, const Subject& subject, int64_t deadline_ms,
                   const char* phase) {
  constexpr int64_t kSliceMs = 500;
  bool arrived = false;
  for (int64_t left = deadline_ms; left > 0 && !arrived; left -= kSliceMs) {
    arrived = (sink->*wait)(kSliceMs);
    if (subject.ResidentKib() == 0) break;
  }
  const Sink::Stats stats = sink->Now();
  if (stats.faults > 0) {
    return absl::DataLossError(
        StrCat("ledger broken, ", stats.faults, " faults; the first: ", stats.first_fault));
  }
  if (subject.ResidentKib() == 0) return absl::UnavailableError("the subject died; see its log");
  if (arrived) return absl::OkStatus();
  return absl::DeadlineExceededError(StrCat(phase, " did not end in time: ", stats.items,
                                            " items and ", stats.changes, " changes arrived"));
}

// Until nothing was taken for a second: all that the subject may hold is held.
void AwaitFull(const ReplayApi& api, const Workload& workload) {
  constexpr auto kLook = std::chrono::milliseconds(100);
  uint64_t before = 0;
  for (int still = 0; still < 10 && api.taken() < workload.events;) {
    std::this_thread::sleep_for(kLook);
    still = api.taken() == before ? still + 1 : 0;
    before = api.taken();
  }
}

std::vector<std::string> CommandOf(const RunOptions& options, Who who, int api_port,
                                   int sink_port) {
  std::vector<std::string> command = options.wrap;
  const auto add = [&command](std::initializer_list<std::string> words) {
    command.insert(command.end(), words);
  };
  switch (who) {
    case Who::kAgent:
      add({options.bin + "/fairlead-agent", "--config", options.dir + "/agent.yaml"});
      break;
    case Who::kFloor:
      add({options.bin + "/bench-floor", std::to_string(api_port), std::to_string(sink_port),
           options.dir});
      break;
    case Who::kDynamic:
    case Who::kTyped:
      add({options.bin + "/bench-rivals", "--mode", who == Who::kTyped ? "typed" : "dynamic",
           "--kubeconfig", options.dir + "/kubeconfig", "--sink", StrCat("127.0.0.1:", sink_port),
           "--ca", options.dir + "/ca.crt", "--identity", options.dir + "/identity"});
      break;
  }
  return command;
}

}  // namespace

const char* NameOf(Who who) {
  switch (who) {
    case Who::kAgent:
      return "agent";
    case Who::kFloor:
      return "floor";
    case Who::kDynamic:
      return "R1a";
    case Who::kTyped:
      return "R1b";
  }
  return "";
}

absl::StatusOr<RunResult> RunOnce(const RunOptions& options, const Workload& workload, Who who) {
  ReplayApi api(workload);
  FAIRLEAD_ASSIGN_OR_RETURN(const auto server, ReplayServer::Start(options.dir, &api));
  net::LoopThread loop("sink");
  Sink sink(workload);
  endpoint::GrpcServerOptions listen;
  listen.address = "127.0.0.1:0";
  listen.certificate_file = options.dir + "/server.crt";
  listen.key_file = options.dir + "/server.key";
  listen.ca_file = options.dir + "/ca.crt";
  listen.trust_domain = "bench";
  loop.Start();
  struct StopLoop {
    ~StopLoop() { loop->Stop(); }
    net::LoopThread* loop;
  } stop{&loop};
  FAIRLEAD_ASSIGN_OR_RETURN(const auto grpc, endpoint::GrpcServer::Start(listen, &sink, &loop));

  FAIRLEAD_RETURN_IF_ERROR(WriteAgentFiles(options.dir, server->port(), grpc->port()));
  FAIRLEAD_ASSIGN_OR_RETURN(const auto subject,
                            Subject::Start(CommandOf(options, who, server->port(), grpc->port()),
                                           StrCat(options.dir, "/", NameOf(who), ".log")));

  RunResult result;
  FAIRLEAD_RETURN_IF_ERROR(
      Await(&sink, &Sink::WaitSynced, *subject, options.deadline_ms, "the sync"));
  result.sync_micros = subject->CpuMicros();
  result.sync_peak_kib = subject->PeakKib();

  const bool stall = options.stall && who == Who::kAgent;
  if (stall) loop.Post([&sink] { sink.HoldAcks(true); });
  const auto begin = std::chrono::steady_clock::now();
  server->Release();
  if (stall) {
    AwaitFull(api, workload);
    loop.Post([&sink] { sink.HoldAcks(false); });
  }
  const absl::Status complete =
      Await(&sink, &Sink::WaitComplete, *subject, options.deadline_ms, "the events");
  const double micros = subject->CpuMicros() - result.sync_micros;
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  FAIRLEAD_RETURN_IF_ERROR(complete);
  result.event_micros = micros / static_cast<double>(workload.events);
  result.wall_seconds = wall.count();
  result.peak_kib = subject->PeakKib();
  result.resident_kib = subject->ResidentKib();
  result.events = workload.events;
  result.changes = sink.Now().changes;
  result.payload_bytes = sink.Now().payload_bytes;
  return result;
}

}  // namespace fairlead::bench
