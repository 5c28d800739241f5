// fairlead-agent: streams what changes in its accounts' clusters to an endpoint.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/agent.h"
#include "agent/config/config.h"
#include "agent/identity/identity.h"
#include "agent/stats.h"
#include "agent/uplink/grpc_channel.h"
#include "lib/base/config_reader.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/base/version.h"
#include "lib/log/log.h"
#include "lib/metrics/metrics.h"
#include "lib/metrics/names.h"
#include "lib/net/http_client.h"
#include "lib/net/http_server.h"
#include "lib/net/loop_thread.h"

namespace fairlead::agent {
namespace {

constexpr char kUsage[] =
    "fairlead-agent lists and watches the clusters of its accounts and streams what changes to a\n"
    "fairlead-endpoint.\n\n"
    "usage: fairlead-agent --config FILE   run until SIGTERM\n"
    "       fairlead-agent --check FILE    read the configuration and say what is wrong with it\n"
    "       fairlead-agent --version\n\n"
    "The file is described in docs/reference/agent-config.md.\n";

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Health and metrics for the kubelet and Prometheus.
class HealthPages : public net::HttpHandler {
 public:
  HealthPages(Agent* agent, metrics::Registry* registry) : agent_(agent), registry_(registry) {}
  void Handle(const net::HttpServerRequest& request,
              std::shared_ptr<net::HttpResponder> responder) override {
    if (request.path == "/healthz") return responder->Send(200, "text/plain", "ok\n");
    if (request.path == "/readyz") {
      const bool ready = agent_->uplink().connected();
      return responder->Send(ready ? 200 : 503, "text/plain",
                             ready ? "ok\n" : "no session with an endpoint\n");
    }
    if (request.path == "/metrics") {
      return agent_->Collect([registry = registry_, responder](const AgentStats& stats) {
        Publish(stats, registry);
        responder->Send(200, "text/plain; version=0.0.4", registry->Render());
      });
    }
    responder->Send(404, "text/plain", "not found; there are /healthz, /readyz and /metrics\n");
  }

 private:
  Agent* agent_;
  metrics::Registry* registry_;
};

// The threads that accounts live on, each with its share of the table of recent hashes.
class Workers {
 public:
  static constexpr size_t kRecentBytes = size_t{4} << 20;
  static constexpr unsigned kMostByDefault = 4;

  explicit Workers(const Config& config) {
    const size_t wanted = config.workers > 0
                              ? static_cast<size_t>(config.workers)
                              : std::min(std::thread::hardware_concurrency(), kMostByDefault);
    const size_t count = std::clamp<size_t>(wanted, 1, config.accounts.size());
    for (size_t i = 0; i < count; ++i) {
      all_.push_back(std::make_unique<Worker>(kRecentBytes / count));
    }
  }
  struct Worker {
    explicit Worker(size_t recent_bytes) : loop("account"), recent(recent_bytes) {}
    net::LoopThread loop;
    RecentHashes recent;
  };
  Worker& For(size_t account) { return *all_[account % all_.size()]; }
  void Start() {
    for (const auto& one : all_) one->loop.Start();
  }
  void Stop() {
    for (const auto& one : all_) one->loop.Stop();
  }

 private:
  std::vector<std::unique_ptr<Worker>> all_;
};

metrics::Histogram& RoundTrips(metrics::Registry* registry) {
  return registry->GetHistogram(
      metrics::kAgentRoundTrip, "Beats to the endpoint and back",
      {0.005, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 1, 2, 5});
}

absl::Status AddAccounts(const Config& config, Workers* workers, Agent* agent) {
  uint64_t seed = static_cast<uint64_t>(base::RandomU128().lo);
  for (size_t i = 0; i < config.accounts.size(); ++i) {
    const AccountConfig& one = config.accounts[i];
    Workers::Worker& worker = workers->For(i);
    AccountOptions options;
    options.recent = &worker.recent;
    options.name = one.name;
    options.seed = base::NextRandom(&seed);
    options.outbox.pending_bytes =
        static_cast<size_t>(config.pending_bytes) / config.accounts.size();
    auto access = one.in_cluster ? kube::InCluster() : kube::LoadKubeconfig(one.kubeconfig_file);
    if (!access.ok()) return base::WithContext(access.status(), base::StrCat("account ", one.name));
    options.access = *access;
    net::HttpClientOptions client;
    client.scheme = access->scheme;
    client.host = access->host;
    client.port = access->port;
    client.server_name = access->server_name;
    client.ca_pem = access->ca_pem;
    client.certificate_pem = access->certificate_pem;
    client.key_pem = access->key_pem;
    auto transport = net::MakeHttpClient(client, &worker.loop);
    if (!transport.ok())
      return base::WithContext(transport.status(), base::StrCat("account ", one.name));
    agent->AddAccount(options, *std::move(transport), &worker.loop);
  }
  return absl::OkStatus();
}

// What Serve() runs: made by Prepare(), begun and ended by Run().
class Process {
 public:
  // `config` outlives the process.
  explicit Process(const Config& config) : config_(config), loop_("agent"), workers_(config) {}

  // Whatever can be wrong with the configuration's files and addresses.
  absl::Status Prepare() {
    if (!config_.allow_plaintext_loopback) {
      auto bundle = base::ReadFile(config_.trust_bundle_file);
      if (!bundle.ok()) return base::WithContext(bundle.status(), "trustBundleFile");
      trust_bundle_ = *std::move(bundle);
    }
    options_ = {base::kVersion, base::RandomHex(8), config_.revision, config_.zone};
    UplinkOptions uplink;
    uplink.endpoints = config_.endpoints;
    uplink.seed = base::RandomU128().lo;
    uplink.on_round_trip = [&round_trips = RoundTrips(&registry_)](base::Duration took) {
      round_trips.Observe(std::chrono::duration<double>(took).count());
    };
    agent_ = std::make_unique<Agent>(
        options_, uplink,
        [this](const std::string& target) { return ChannelTo(target, credentials_); }, &loop_);
    FAIRLEAD_RETURN_IF_ERROR(AddAccounts(config_, &workers_, agent_.get()));
    return StartHealth();
  }

  void Run() {
    loop_.Post([this] { Begin(); });
    log::Info("fairlead-agent runs", {{"version", base::kVersion},
                                      {"accounts", config_.accounts.size()},
                                      {"instance", options_.instance_id}});
    workers_.Start();
    loop_.Start();
    const sigset_t signals = StopSignals();
    int signal = 0;
    sigwait(&signals, &signal);
    log::Info("stopping", {{"signal", strsignal(signal)}});
    if (health_) health_->Stop();
    std::promise<void> ended;
    loop_.Post([&] {
      identity_.reset();
      agent_->Stop();
      ended.set_value();
    });
    ended.get_future().wait();
    loop_.Stop();
    agent_->Close();
    workers_.Stop();
  }

 private:
  std::unique_ptr<wire::AgentChannel> ChannelTo(const std::string& target,
                                                const Credentials& with) {
    ChannelOptions options;
    options.target = target;
    options.server_name = config_.server_name;
    options.trust_bundle = with.trust_bundle;
    options.certificate = with.certificate_pem;
    options.key = with.key_pem;
    options.plaintext = config_.allow_plaintext_loopback;
    options.identity = config_.identity.name;
    return MakeGrpcChannel(options, &loop_);
  }

  absl::Status StartHealth() {
    if (config_.health_address.empty()) return absl::OkStatus();
    pages_ = std::make_unique<HealthPages>(agent_.get(), &registry_);
    net::HttpServerOptions server;
    server.address = config_.health_address;
    auto started = net::HttpServer::Start(server, pages_.get(), &loop_);
    if (!started.ok()) return base::WithContext(started.status(), "health.address");
    health_ = *std::move(started);
    return absl::OkStatus();
  }

  void Begin() {
    if (config_.allow_plaintext_loopback) return OnCredentials({});
    std::unique_ptr<SharedSecret> secret;
    if (!config_.identity.secret_name.empty()) {
      auto opened = SharedSecret::Open(config_.identity.secret_namespace,
                                       config_.identity.secret_name, &loop_);
      if (!opened.ok()) {
        log::Error("identitySecret cannot be used", {{"error", opened.status()}});
        std::_Exit(1);
      }
      secret = *std::move(opened);
    }
    identity_ = std::make_unique<IdentityKeeper>(
        config_, trust_bundle_,
        [this](const std::string& target, const Credentials& with) {
          return ChannelTo(target, with);
        },
        [this](const Credentials& fresh) { OnCredentials(fresh); }, std::move(secret), &loop_);
    identity_->Start();
  }

  void OnCredentials(const Credentials& fresh) {
    credentials_ = fresh;
    if (std::exchange(started_, true)) return agent_->uplink().Reconnect("a new certificate");
    agent_->Start();
  }

  const Config& config_;
  net::LoopThread loop_;
  Workers workers_;
  metrics::Registry registry_;
  std::string trust_bundle_;
  AgentOptions options_;
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<HealthPages> pages_;
  std::unique_ptr<net::HttpServer> health_;
  // The loop's.
  Credentials credentials_;
  std::unique_ptr<IdentityKeeper> identity_;
  bool started_ = false;
};

int Serve(const Config& config) {
  log::SetLevel(config.log_level);
  Process process(config);
  if (const absl::Status status = process.Prepare(); !status.ok()) {
    std::fprintf(stderr, "fairlead-agent: %s\n", status.ToString().c_str());
    return 1;
  }
  process.Run();
  return 0;
}

}  // namespace

int Main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "--version") {
    std::printf("fairlead-agent %s\n", base::kVersion);
    return 0;
  }
  if ((verb != "--config" && verb != "--check") || argc != 3) {
    std::fputs(kUsage, verb == "--help" ? stdout : stderr);
    return verb == "--help" ? 0 : 2;
  }
  const auto text = base::ReadFile(argv[2]);
  if (!text.ok()) {
    std::fprintf(stderr, "fairlead-agent: %s\n", text.status().ToString().c_str());
    return 2;
  }
  const auto config = ParseConfig(*text, argv[2]);
  if (!config.ok()) {
    std::fprintf(stderr, "fairlead-agent: %s\n", config.status().ToString().c_str());
    return 2;
  }
  if (verb == "--check") return 0;
  // Every thread inherits this, so that only sigwait() sees them.
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return Serve(*config);
}

}  // namespace fairlead::agent

int main(int argc, char** argv) { return fairlead::agent::Main(argc, argv); }
