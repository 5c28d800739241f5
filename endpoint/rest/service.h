#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "endpoint/config/config.h"
#include "endpoint/fleet/board.h"
#include "endpoint/registry/registry.h"
#include "endpoint/store/reader.h"
#include "endpoint/store/writer_thread.h"
#include "lib/base/loop.h"
#include "lib/metrics/metrics.h"
#include "lib/net/http_server.h"

namespace fairlead::endpoint {

enum class Role { kNone, kViewer, kOperator, kAdmin };

// Who is asking: a client certificate with spiffe://<trust-domain>/role/<role>, else a bearer token
// of the configuration, compared in constant time. Without TLS and without tokens: kAdmin
// (loopback).
Role RoleOf(const net::HttpServerRequest& request, const Config& config);

// What an account's holder is told. Any thread may call.
class AccountActions {
 public:
  virtual ~AccountActions() = default;
  // Its rows are compared with fresh lists of these kinds; a kind without a resource is every kind.
  // `done` may run on any thread: false = no agent holds the account here.
  virtual void Audit(const base::U128& account, const std::vector<store::Kind>& kinds,
                     std::function<void(bool)> done) = 0;
  // The account was written under another term than the holder's.
  virtual void Fenced(const base::U128& account, const std::string& why) = 0;
};

struct RestOptions {
  const Config* config = nullptr;
  store::WriterThread* writer = nullptr;
  store::Reader* reader = nullptr;         // this service's own; used on `reads`
  registry::Registry* registry = nullptr;  // used on the writer's thread
  FleetBoard* board = nullptr;
  metrics::Registry* metrics = nullptr;
  base::Loop* loop = nullptr;
  base::Loop* reads = nullptr;  // stopped before the service goes
  AccountActions* actions = nullptr;
  // Takes what is below /clusters/. May be null.
  net::HttpHandler* gateway = nullptr;
  // What else keeps it from being ready, for people; "" = nothing. Called on `loop`; may be null.
  std::function<std::string()> problem = nullptr;
};

// The REST API of docs/reference/rest.md. Everything on `loop`, which waits for no database; apart
// from changes of the registry, which run on the writer's thread, and reads, which run on `reads`.
// All pointers outlive the service.
class RestService : public net::HttpHandler {
 public:
  explicit RestService(const RestOptions& options);
  ~RestService() override;
  void Handle(const net::HttpServerRequest& request,
              std::shared_ptr<net::HttpResponder> responder) override;
  // An account was put, deleted, or its agents changed: its watchers are told. Any thread.
  void AccountChanged(const std::string& name);

 private:
  using Responder = std::shared_ptr<net::HttpResponder>;
  void Account(const net::HttpServerRequest& request, const std::string& name,
               const Responder& responder);
  void PutAccount(const net::HttpServerRequest& request, const std::string& name,
                  const Responder& responder);
  void DeleteAccount(const net::HttpServerRequest& request, const std::string& name,
                     const Responder& responder);
  void ListAccounts(const net::HttpServerRequest& request, const Responder& responder);
  void Objects(const net::HttpServerRequest& request, const Responder& responder);
  // GET freshness, POST audit and confirm-deletes of an account.
  void AccountAction(const net::HttpServerRequest& request, const std::string& name,
                     const std::string& action, const Responder& responder);
  void Freshness(const base::U128& uid, const std::vector<store::Position>& positions,
                 const Responder& responder);
  void Audit(const base::U128& uid, const std::vector<store::Position>& positions,
             const std::string& query, const Responder& responder);
  void ConfirmDeletes(const base::U128& uid, const std::vector<store::Position>& positions,
                      const std::string& query, const Responder& responder);
  void WriteConfirmed(store::Batch batch, const store::Term& term, const Responder& responder);
  // GET and POST of an account's tokens, DELETE of one.
  void AccountTokens(const net::HttpServerRequest& request, const std::string& name,
                     const std::string& token, const Responder& responder);
  void CreateAccountToken(const net::HttpServerRequest& request, const std::string& name,
                          const Responder& responder);
  void CreateToken(const net::HttpServerRequest& request, const Responder& responder);
  void Readiness(const Responder& responder);
  // Runs on the writer's thread; answers 503 when that has stopped.
  void WithRegistry(const Responder& responder, std::function<void(registry::Registry&)> task);
  std::string AccountText(const registry::Account& account, bool with_spec) const;

  RestOptions options_;
  std::vector<Responder> watchers_;
  // Admitted, their list still to be written (or the writer is gone for good).
  size_t watchers_to_be_ = 0;
  std::unique_ptr<base::Timer> keepalive_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::endpoint
