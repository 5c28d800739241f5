// fairlead-operator: reconciles ClusterAccounts and AgentDeployments.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "lib/base/config_reader.h"
#include "lib/base/hash.h"
#include "lib/base/strings.h"
#include "lib/base/version.h"
#include "lib/log/log.h"
#include "lib/metrics/metrics.h"
#include "lib/net/http_server.h"
#include "lib/net/loop_thread.h"
#include "operator/config/config.h"
#include "operator/controllers/account_controller.h"
#include "operator/controllers/context.h"
#include "operator/controllers/deployment_controller.h"
#include "operator/controllers/installer.h"
#include "operator/controllers/objects.h"
#include "operator/runtime/controller.h"
#include "operator/runtime/elector.h"
#include "operator/runtime/event_recorder.h"

namespace fairlead::op {
namespace {

constexpr char kUsage[] =
    "fairlead-operator reconciles ClusterAccounts and AgentDeployments.\n\n"
    "usage: fairlead-operator --config FILE   run until SIGTERM\n"
    "       fairlead-operator --check FILE    read the configuration and say what is wrong with "
    "it\n"
    "       fairlead-operator --version\n\n"
    "The file is described in docs/reference/operator-config.md.\n";

constexpr base::Duration kSyncDeadline = base::minutes(2);

int Complain(const std::string& what, const absl::Status& status) {
  std::fprintf(stderr, "fairlead-operator: %s: %s\n", what.c_str(),
               std::string(base::View(status.message())).c_str());
  return 1;
}

std::string Hostname() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

// Health and metrics for the kubelet and Prometheus.
class HealthPages : public net::HttpHandler {
 public:
  HealthPages(std::function<bool()> ready, metrics::Registry* metrics)
      : ready_(std::move(ready)), metrics_(metrics) {}
  void Handle(const net::HttpServerRequest& request,
              std::shared_ptr<net::HttpResponder> responder) override {
    if (request.path == "/healthz") return responder->Send(200, "text/plain", "ok\n");
    if (request.path == "/readyz") {
      return ready_() ? responder->Send(200, "text/plain", "ok\n")
                      : responder->Send(503, "text/plain", "resources are not synced yet\n");
    }
    if (request.path == "/metrics") {
      return responder->Send(200, "text/plain; version=0.0.4", metrics_->Render());
    }
    responder->Send(404, "text/plain", "not found; there are /healthz, /readyz and /metrics\n");
  }

 private:
  std::function<bool()> ready_;
  metrics::Registry* metrics_;
};

// The parts of a running operator in the order they start. A standby has its caches warm and waits
// for the Lease; whoever loses the Lease exits at once.
class Operator {
 public:
  explicit Operator(const Config& config) : config_(config) {}

  int Run() {
    if (const int failed = ConnectHub(); failed != 0) return failed;
    StartInformers();
    if (const int failed = StartHealth(); failed != 0) return failed;
    StartElection();
    std::thread work([this] { WorkWhenLeading(); });
    WaitForSignal();
    Stop(&work);
    return 0;
  }

 private:
  // The elector and the Events have clients of their own, so that nothing else delays a renewal,
  // and Events delay nothing else.
  int ConnectHub() {
    loop_.Start();
    const auto access =
        config_.kubeconfig.empty() ? kube::InCluster() : kube::LoadKubeconfig(config_.kubeconfig);
    if (!access.ok()) return Complain("hub", access.status());
    client_options_.user_agent = base::StrCat("fairlead-operator/", base::kVersion);
    client_options_.may_write = [this] { return elector_ && elector_->MayWrite(); };
    ClusterClient::Options hub_options = client_options_;
    hub_options.pause_after_failure = base::seconds(1);
    auto hub = ClusterClient::Make(*access, hub_options, &loop_);
    auto lease = ClusterClient::Make(*access, hub_options, &loop_);
    auto events = ClusterClient::Make(*access, hub_options, &loop_);
    if (!hub.ok()) return Complain("hub", hub.status());
    if (!lease.ok()) return Complain("hub", lease.status());
    if (!events.ok()) return Complain("hub", events.status());
    events_ = std::make_unique<EventRecorder>(*std::move(events), Hostname(), &metrics_);
    context_.record = [this](const Event& event) { events_->Record(event); };
    context_.config = &config_;
    context_.hub = *std::move(hub);
    lease_client_ = *std::move(lease);
    return 0;
  }

  void StartInformers() {
    installer_ = std::make_unique<Installer>(&context_);
    account_controller_ = std::make_unique<AccountController>(&context_, installer_.get());
    deployment_controller_ = std::make_unique<DeploymentController>(&context_, installer_.get());
    const int workers = config_.workers;
    accounts_ = std::make_unique<Controller>(
        "clusteraccount", workers,
        [this](const Key& key) { return account_controller_->Reconcile(key); }, &metrics_);
    deployments_ = std::make_unique<Controller>(
        "agentdeployment", workers,
        [this](const Key& key) { return deployment_controller_->Reconcile(key); }, &metrics_);
    installations_ = std::make_unique<Controller>(
        "installation", workers, [this](const Key& key) { return installer_->Reconcile(key); },
        &metrics_);
    context_.wake_account = [this](const Key& key) { accounts_->Add(key); };
    context_.wake_deployment = [this](const Key& key) { deployments_->Add(key); };
    context_.wake_installer = [this](const Key& key) { installations_->Add(key); };
    for (const std::string& space : config_.watch_namespaces) {
      context_.accounts[space] =
          std::make_unique<Informer>(AccountType(), space, context_.hub->api(), &loop_,
                                     [this](const Key& key) { OnAccount(key); });
      context_.deployments[space] =
          std::make_unique<Informer>(DeploymentType(), space, context_.hub->api(), &loop_,
                                     [this](const Key& key) { OnDeployment(key); });
      loop_.Post([this, space] {
        context_.accounts[space]->Start();
        context_.deployments[space]->Start();
      });
    }
  }

  void OnAccount(const Key& key) {
    accounts_->Add(key);
    installations_->Add(key);
    WakeDeployments(key.name_space);
  }

  // An AgentDeployment's change concerns its accounts' agents too.
  void OnDeployment(const Key& key) {
    WakeDeployments(key.name_space);
    for (const Informer::Object& one : context_.accounts[key.name_space]->List()) {
      if ((*one)["status"]["agent"]["deploymentRef"]["name"] == key.name) {
        installations_->Add({key.name_space, (*one)["metadata"]["name"].asString()});
      }
    }
  }

  void WakeDeployments(const std::string& space) {
    for (const Informer::Object& one : context_.deployments[space]->List()) {
      deployments_->Add({space, (*one)["metadata"]["name"].asString()});
    }
  }

  // "clusteraccounts in fairlead" for each that has not listed all yet; "" when all have.
  [[nodiscard]] std::string NotSynced() const {
    std::string out;
    for (const auto* all : {&context_.accounts, &context_.deployments}) {
      for (const auto& [space, informer] : *all) {
        if (informer->synced()) continue;
        out += base::StrCat(out.empty() ? "" : ", ", informer->resource(), " in ", space);
      }
    }
    return out;
  }
  [[nodiscard]] bool Synced() const { return NotSynced().empty(); }

  int StartHealth() {
    pages_ = std::make_unique<HealthPages>([this] { return Synced(); }, &metrics_);
    net::HttpServerOptions server;
    server.address = config_.health_address;
    auto started = net::HttpServer::Start(server, pages_.get(), &health_loop_);
    if (!started.ok()) return Complain("health.address", started.status());
    health_ = *std::move(started);
    health_loop_.Start();
    return 0;
  }

  void StartElection() {
    Elector::Options options;
    options.name_space = config_.lease_namespace;
    options.name = config_.lease_name;
    options.lease.identity = base::StrCat(Hostname(), "_", base::RandomHex(4));
    elector_ = std::make_unique<Elector>(
        options, lease_client_->api(), &loop_, [this] { leading_.set_value(); },
        [] { std::_Exit(1); });  // no graceful end: another process may lead by now
    loop_.Post([this] { elector_->Start(); });
  }

  // Caches first, then the Lease, then certificates and the endpoints, then the controllers.
  void WorkWhenLeading() {
    auto leading = leading_.get_future();
    while (leading.wait_for(base::milliseconds(200)) != std::future_status::ready) {
      if (stopping_) return;
    }
    const base::Time deadline = base::Clock::Real().Now() + kSyncDeadline;
    while (!Synced() && !stopping_) {
      if (base::Clock::Real().Now() > deadline) {
        Complain(NotSynced(), absl::DeadlineExceededError(
                                  "not listed after two minutes; are the CRDs installed (chart "
                                  "fairlead-crds), and may the operator read them?"));
        std::_Exit(1);
      }
      std::this_thread::sleep_for(base::milliseconds(50));
    }
    context_.certificates = std::make_unique<Certificates>(config_, context_.hub.get());
    while (!stopping_ && !Prepare()) std::this_thread::sleep_for(base::seconds(2));
    if (stopping_) return;
    StartControllers();
    base::Time next = base::Clock::Real().Now() + base::minutes(60);
    while (!stopping_) {
      std::this_thread::sleep_for(base::milliseconds(200));
      if (base::Clock::Real().Now() < next) continue;
      next += base::minutes(60);
      if (const absl::Status kept = context_.certificates->Ensure(); !kept.ok()) {
        log::Error("certificates not renewed", {{"error", kept}});
      }
    }
  }

  bool Prepare() {
    const auto uid = ClusterUid(context_.hub.get());
    absl::Status status = uid.status();
    if (uid.ok()) {
      context_.hub_id = *uid;
      status = context_.certificates->Ensure();
    }
    if (!status.ok()) log::Error("not ready to work", {{"error", status}});
    return status.ok();
  }

  void StartControllers() {
    std::map<std::string, EndpointClient*> endpoints;
    for (const EndpointConfig& one : config_.endpoints) {
      auto client = std::make_unique<EndpointClient>([this, api = one.api] { return Client(api); },
                                                     client_options_.may_write);
      endpoints[one.name] = client.get();
      context_.endpoints[one.name] = std::move(client);
    }
    context_.clusters =
        std::make_unique<ClusterPool>(context_.hub, [this](const kube::ClusterAccess& access) {
          return ClusterClient::Make(access, client_options_, &loop_);
        });
    context_.fleet =
        std::make_unique<FleetView>(endpoints, [this](const std::string& name) { OnFleet(name); });
    context_.fleet->Start();
    events_->Start();
    accounts_->Start();
    installations_->Start();
    deployments_->Start();
    log::Info("controllers run", {{"hub", context_.hub_id}});
  }

  absl::StatusOr<std::unique_ptr<rest::Client>> Client(const std::string& api) {
    const auto certificate = context_.certificates->OperatorCertificate();
    if (!certificate.ok()) return certificate.status();
    rest::ClientOptions options;
    options.base_url = api;
    options.ca_pem = context_.certificates->ca_pem();
    options.certificate_pem = certificate->certificate_pem;
    options.key_pem = certificate->key_pem;
    options.user_agent = client_options_.user_agent;
    return rest::Client::Make(options);
  }

  void OnFleet(const std::string& account_name) {
    for (const auto& [space, informer] : context_.accounts) {
      for (const Informer::Object& one : informer->List()) {
        const Json::Value& name = (*one)["spec"]["accountName"];
        const Key key{space, (*one)["metadata"]["name"].asString()};
        if ((name.isString() ? name.asString() : key.name) != account_name) continue;
        accounts_->Add(key);
        WakeDeployments(space);
      }
    }
  }

  static void WaitForSignal() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    int signal = 0;
    sigwait(&signals, &signal);
    log::Info("stopping", {{"signal", strsignal(signal)}});
  }

  // Work ends, then the Lease is given back, so that the next one never overlaps.
  void Stop(std::thread* work) {
    stopping_ = true;
    work->join();
    deployments_->Stop();
    installations_->Stop();
    accounts_->Stop();
    if (context_.fleet) context_.fleet->Stop();
    events_->Stop();
    health_->Stop();
    health_loop_.Stop();
    std::promise<void> released;
    loop_.Post([&] { elector_->Release([&] { released.set_value(); }); });
    released.get_future().wait_for(base::seconds(3));
    // The process ends here; the API server sees the connections close.
    std::fflush(nullptr);
    std::_Exit(0);
  }

  const Config config_;
  metrics::Registry metrics_;
  net::LoopThread loop_{"operator"};
  net::LoopThread health_loop_{"health"};
  ClusterClient::Options client_options_;
  std::shared_ptr<ClusterClient> lease_client_;
  Context context_;
  std::unique_ptr<Installer> installer_;
  std::unique_ptr<AccountController> account_controller_;
  std::unique_ptr<DeploymentController> deployment_controller_;
  std::unique_ptr<Controller> accounts_, deployments_, installations_;
  std::unique_ptr<EventRecorder> events_;
  std::unique_ptr<HealthPages> pages_;
  std::unique_ptr<net::HttpServer> health_;
  std::unique_ptr<Elector> elector_;
  std::promise<void> leading_;
  std::atomic<bool> stopping_{false};
};

}  // namespace

int Main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "--version") return std::printf("fairlead-operator %s\n", base::kVersion) < 0;
  if ((verb != "--config" && verb != "--check") || argc != 3) {
    std::fputs(kUsage, verb == "--help" ? stdout : stderr);
    return verb == "--help" ? 0 : 2;
  }
  const auto text = base::ReadFile(argv[2]);
  if (!text.ok()) return Complain("configuration", text.status()) + 1;
  const auto config = ParseConfig(*text, argv[2]);
  if (!config.ok()) return Complain("configuration", config.status()) + 1;
  if (verb == "--check") return 0;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  log::SetLevel(config->log_level);
  return Operator(*config).Run();
}

}  // namespace fairlead::op

int main(int argc, char** argv) { return fairlead::op::Main(argc, argv); }
