// fairlead-endpoint: accepts agents, commits what they send, and serves it.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "endpoint/accounts_file.h"
#include "endpoint/config/config.h"
#include "endpoint/freshness/monitor.h"
#include "endpoint/freshness/scrubber.h"
#include "endpoint/gateway/gateway.h"
#include "endpoint/grpc/server.h"
#include "endpoint/identity/authority.h"
#include "endpoint/peers.h"
#include "endpoint/rest/service.h"
#include "endpoint/session/hub.h"
#include "endpoint/store/writer_thread.h"
#include "lib/base/config_reader.h"
#include "lib/base/strings.h"
#include "lib/base/version.h"
#include "lib/log/log.h"
#include "lib/net/loop_thread.h"

namespace fairlead::endpoint {
namespace {

constexpr char kUsage[] =
    "fairlead-endpoint accepts agents, commits what they send to its database, and serves it.\n\n"
    "usage: fairlead-endpoint serve --config FILE\n"
    "       fairlead-endpoint check --config FILE     read the configuration and say what is "
    "wrong\n"
    "       fairlead-endpoint init --dir DIR [--dns NAME].. [--ip ADDRESS].. [--trust-domain "
    "NAME]\n"
    "                                                 make certificates, a token and "
    "endpoint.yaml\n"
    "       fairlead-endpoint --version\n\n"
    "The file is described in docs/reference/endpoint-config.md, the API in "
    "docs/reference/rest.md.\n";

int Complain(const std::string& what, const absl::Status& status) {
  std::fprintf(stderr, "fairlead-endpoint: %s: %s\n", what.c_str(),
               std::string(base::View(status.message())).c_str());
  return 1;
}

// Tells hub and REST of what the registry did; called on the store's thread.
class Changes : public registry::Listener {
 public:
  void OnAccountPut(const registry::Account& account) override {
    if (hub == nullptr) return;
    hub_loop->Post([hub = hub, account] { hub->PutAccount(account); });
  }
  void OnAccountDeleted(const base::U128& uid, const std::string&) override {
    if (hub == nullptr) return;
    hub_loop->Post([hub = hub, uid] { hub->RemoveAccount(uid); });
  }
  Hub* hub = nullptr;
  base::Loop* hub_loop = nullptr;
};

// Takes what REST asks of an account's holder to the hub's loop.
class HubActions : public AccountActions {
 public:
  void Audit(const base::U128& account, const std::vector<store::Kind>& kinds,
             std::function<void(bool)> done) override {
    hub_loop->Post([hub = hub, account, kinds, done = std::move(done)] {
      bool ordered = true;
      for (const store::Kind& kind : kinds) {
        ordered = ordered && hub->Audit(account, kind.group, kind.resource);
      }
      done(ordered);
    });
  }
  void Fenced(const base::U128& account, const std::string& why) override {
    hub_loop->Post([hub = hub, account, why] { hub->Fenced(account, why); });
  }
  Hub* hub = nullptr;
  base::Loop* hub_loop = nullptr;
};

// The parts of a running endpoint, in the order they start; they stop in the reverse order.
class Endpoint {
 public:
  explicit Endpoint(const Config& config)
      : config_(config),
        authority_({config.tls.issuer_certificate, config.tls.issuer_key, config.tls.ca},
                   config.trust_domain,
                   std::chrono::duration_cast<base::seconds>(config.certificate_lifetime).count()) {
  }

  int Run() {
    if (const int failed = OpenStore(); failed != 0) return failed;
    if (const int failed = StartHub(); failed != 0) return failed;
    if (const int failed = StartGateway(); failed != 0) return failed;
    if (const int failed = StartRest(); failed != 0) return failed;
    if (const int failed = StartReplicas(); failed != 0) return failed;
    if (const int failed = StartAgents(); failed != 0) return failed;
    log::Info("fairlead-endpoint runs", {{"version", base::kVersion},
                                         {"replica", store_->replica()},
                                         {"rest", config_.rest_address},
                                         {"agents", config_.agents_address},
                                         {"restPort", rest_->port()},
                                         {"agentsPort", grpc_->port()}});
    WaitForSignal();
    Stop();
    return 0;
  }

 private:
  int OpenStore() {
    sql::DatabaseOptions database;
    database.url = config_.database_url;
    database.sqlite_path = config_.data_dir + "/fairlead.db";
    if (!config_.database_password_file.empty()) {
      auto password = base::ReadFile(config_.database_password_file);
      if (!password.ok()) return Complain("database.passwordFile", password.status());
      while (!password->empty() && password->back() == '\n') password->pop_back();
      database.password = *std::move(password);
    }
    const std::string where = sql::Describe(database);
    auto store = store::Store::Open(database, &base::Clock::Real());
    if (!store.ok()) return Complain(where, store.status());
    store_ = *std::move(store);
    auto rest_reader = store_->OpenReader();
    if (!rest_reader.ok()) return Complain(where, rest_reader.status());
    rest_reader_ = *std::move(rest_reader);
    log::Info("database opened", {{"database", where}});
    registry_ = std::make_unique<registry::Registry>(store_.get(), &changes_);
    return 0;
  }

  // Accounts are read before the writer's thread owns the store.
  int StartHub() {
    const auto version = registry_->Version();
    if (!version.ok()) return Complain("accounts", version.status());
    registry_version_ = *version;
    auto accounts = registry_->List();
    if (!accounts.ok()) return Complain("accounts", accounts.status());
    store::WriterThreadOptions writer;
    writer.queue_bytes = static_cast<size_t>(config_.queue_bytes);
    writer.writer.max_objects = config_.objects_per_account;
    writer_ = std::make_unique<store::WriterThread>(store_.get(), writer, &metrics_);
    HubOptions options;
    options.version = base::kVersion;
    options.concurrent_snapshots = static_cast<size_t>(config_.concurrent_snapshots);
    options.flush_delay_ms = static_cast<uint32_t>(config_.flush_delay_ms);
    options.shard_credit_bytes = static_cast<uint64_t>(config_.shard_credit_bytes);
    options.queue_bytes = writer.queue_bytes;
    options.sessions_per_identity = static_cast<size_t>(config_.sessions_per_identity);
    scrubber_ =
        std::make_unique<Scrubber>(rest_reader_.get(), writer_.get(), &read_loop_, &metrics_);
    options.scrub = [this](const store::ScrubRequest& rows, std::function<void()> done) {
      scrubber_->Scrub(rows, std::move(done));
    };
    options.replicas = store_->shared();
    hub_ = std::make_unique<Hub>(options, writer_.get(), &authority_, &board_, &hub_loop_);
    hub_loop_.Post([this, known = *std::move(accounts)] {
      hub_->Start();
      for (const registry::Account& account : known) hub_->PutAccount(account);
    });
    // Set before the writer runs any task, as nobody else can give it one yet.
    actions_.hub = hub_.get();
    actions_.hub_loop = &hub_loop_;
    changes_.hub_loop = &hub_loop_;
    changes_.hub = hub_.get();
    hub_loop_.Start();
    if (config_.accounts_file.empty()) return 0;
    accounts_file_ =
        std::make_unique<AccountsFile>(config_.accounts_file, writer_.get(), registry_.get());
    if (const absl::Status read = accounts_file_->Load(); !read.ok())
      return Complain("accountsFile", read);
    return 0;
  }

  int StartGateway() {
    auto reader = store_->OpenReader();
    if (!reader.ok()) return Complain("database", reader.status());
    gateway_reader_ = *std::move(reader);
    gateway_ = std::make_unique<Gateway>(GatewayOptions{
        gateway_reader_.get(), &gateway_loop_, &base::Clock::Real(), hub_.get(), &hub_loop_});
    gateway_loop_.Start();
    return 0;
  }

  int StartRest() {
    RestOptions options{&config_,
                        writer_.get(),
                        rest_reader_.get(),
                        registry_.get(),
                        &board_,
                        &metrics_,
                        &rest_loop_,
                        &read_loop_,
                        &actions_,
                        gateway_.get(),
                        [this] { return coordinator_ ? coordinator_->problem() : ""; }};
    service_ = std::make_unique<RestService>(options);
    net::HttpServerOptions server;
    server.address = config_.rest_address;
    server.certificate_file = config_.tls.certificate;
    server.key_file = config_.tls.key;
    server.ca_file = config_.tls.ca;
    if (config_.plaintext_loopback) server.certificate_file = server.key_file = server.ca_file = "";
    auto started = net::HttpServer::Start(server, service_.get(), &rest_loop_);
    if (!started.ok()) return Complain("rest.address", started.status());
    rest_ = *std::move(started);
    return 0;
  }

  // With a server's database, where there may be other replicas.
  int StartReplicas() {
    if (store_->shared()) {
      auto connection = store_->Connect();
      if (!connection.ok()) return Complain("database", connection.status());
      PeersOptions peers{writer_.get(), registry_.get(), hub_.get(), &hub_loop_};
      peers.on_account = [this](const std::string& name) { service_->AccountChanged(name); };
      peers.registry_version = registry_version_;
      peers_ = std::make_unique<Peers>(std::move(peers));
      coordinator_ = std::make_unique<Coordinator>(
          CoordinatorOptions{},
          std::make_unique<store::ReplicaRows>(*std::move(connection), store_->replica()),
          store_->replica(), &board_, peers_.get(), &base::Clock::Real(), &metrics_);
    }
    board_.OnChange([this](const base::U128& uid, bool own) {
      if (own && coordinator_) coordinator_->Changed(uid);
      const absl::Status ignored = writer_->Do([this, uid](store::Store&) {
        const auto account = registry_->Get(uid);
        if (account.ok()) service_->AccountChanged(account->name);
      });
      (void)ignored;
    });
    rest_loop_.Start();
    read_loop_.Start();
    monitor_ = std::make_unique<FreshnessMonitor>(
        rest_reader_.get(), &board_,
        [this](std::function<void(std::vector<base::U128>)> done) { ListAccounts(done); },
        &read_loop_, &metrics_);
    monitor_->Start();
    return 0;
  }

  void ListAccounts(const std::function<void(std::vector<base::U128>)>& done) {
    const absl::Status ignored = writer_->Do([this, done](store::Store&) {
      std::vector<base::U128> uids;
      const auto accounts = registry_->List();
      if (!accounts.ok()) return;
      for (const registry::Account& one : *accounts) uids.push_back(one.uid);
      done(std::move(uids));
    });
    (void)ignored;  // the writer has stopped: so do we
  }

  int StartAgents() {
    GrpcServerOptions options;
    options.address = config_.agents_address;
    options.certificate_file = config_.tls.certificate;
    options.key_file = config_.tls.key;
    options.ca_file = config_.tls.ca;
    options.plaintext = config_.plaintext_loopback;
    options.trust_domain = config_.trust_domain;
    auto started = GrpcServer::Start(options, hub_.get(), &hub_loop_);
    if (!started.ok()) return Complain("agents.address", started.status());
    grpc_ = *std::move(started);
    return 0;
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

  void Stop() {
    hub_loop_.Post([this] { hub_->Drain("the endpoint is shutting down"); });
    accounts_file_.reset();
    grpc_->Stop(2000);
    rest_->Stop();
    writer_->Stop(base::seconds(10));
    // What was sent is committed: others may have the shards.
    if (coordinator_) coordinator_->Stop();
    hub_loop_.Post([this] {
      hub_.reset();
      hub_loop_.Quit();
    });
    hub_loop_.Stop();
    rest_loop_.Stop();
    gateway_loop_.Stop();
    read_loop_.Stop();
    service_.reset();
  }

  const Config config_;
  metrics::Registry metrics_;
  FleetBoard board_;
  Authority authority_;
  Changes changes_;
  net::LoopThread hub_loop_{"hub"};
  net::LoopThread rest_loop_{"rest"};
  net::LoopThread read_loop_{"reads"};
  net::LoopThread gateway_loop_{"gateway"};
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::Reader> rest_reader_;
  uint64_t registry_version_ = 0;
  std::unique_ptr<registry::Registry> registry_;
  std::unique_ptr<store::WriterThread> writer_;
  std::unique_ptr<Scrubber> scrubber_;
  std::unique_ptr<FreshnessMonitor> monitor_;
  HubActions actions_;
  std::unique_ptr<Hub> hub_;
  std::unique_ptr<AccountsFile> accounts_file_;
  std::unique_ptr<store::Reader> gateway_reader_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<RestService> service_;
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<net::HttpServer> rest_;
  std::unique_ptr<GrpcServer> grpc_;
};

int Init(int argc, char** argv) {
  InitOptions options;
  for (int i = 2; i < argc; i += 2) {
    const std::string key = argv[i];
    if (i + 1 >= argc) return Complain(key, absl::InvalidArgumentError("needs a value"));
    if (key == "--dir") {
      options.dir = argv[i + 1];
    } else if (key == "--dns") {
      options.dns.emplace_back(argv[i + 1]);
    } else if (key == "--ip") {
      options.ips.emplace_back(argv[i + 1]);
    } else if (key == "--trust-domain") {
      options.trust_domain = argv[i + 1];
    } else {
      return Complain(key, absl::InvalidArgumentError("unknown option of init"));
    }
  }
  if (options.dir.empty()) return Complain("init", absl::InvalidArgumentError("--dir is needed"));
  if (options.dns.empty() && options.ips.empty()) options.dns = {"localhost"};
  const auto token = InitFiles(options);
  if (!token.ok()) return Complain("init", token.status());
  std::printf("made %s: certificates and endpoint.yaml\nadmin token, shown once: %s\n",
              options.dir.c_str(), token->c_str());
  return 0;
}

}  // namespace

int Main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "--version") return std::printf("fairlead-endpoint %s\n", base::kVersion) < 0;
  if (verb == "init") return Init(argc, argv);
  if ((verb != "serve" && verb != "check") || argc != 4 || std::string(argv[2]) != "--config") {
    std::fputs(kUsage, verb == "--help" ? stdout : stderr);
    return verb == "--help" ? 0 : 2;
  }
  const auto text = base::ReadFile(argv[3]);
  if (!text.ok()) return Complain("configuration", text.status());
  const auto config = ParseConfig(*text, argv[3]);
  if (!config.ok()) return Complain("configuration", config.status());
  if (verb == "check") return 0;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  log::SetLevel(config->log_level);
  return Endpoint(*config).Run();
}

}  // namespace fairlead::endpoint

int main(int argc, char** argv) { return fairlead::endpoint::Main(argc, argv); }
