#pragma once

#include <json/value.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/rest/client.h"

namespace fairlead::op {

// An endpoint's registry in memory, behind the REST that operator/controllers/endpoint_client.h
// speaks (docs/reference/rest.md). Thread-safe.
class FakeEndpoint {
 public:
  struct Account {
    Json::Value body;  // as put
    std::string uid;
    bool connected = false;
    bool synced = false;
    std::vector<std::string> refused;
    std::string revision;
  };

  std::unique_ptr<rest::Client> Connect() { return std::make_unique<Client>(this); }

  enum class Fate { kServe, kLost, kAnswerLost };  // as fakes::FakeHub's
  // Asked about each request ("PUT /v1/accounts/a"), on the caller's thread.
  std::function<Fate(const std::string& request)> script;

  [[nodiscard]] std::vector<std::string> writes() const {
    const base::MutexLock lock(mutex_);
    return writes_;
  }
  void ClearWrites() {
    const base::MutexLock lock(mutex_);
    writes_.clear();
  }
  [[nodiscard]] std::map<std::string, Account> accounts() const {
    const base::MutexLock lock(mutex_);
    return accounts_;
  }
  // An agent of `revision` serves the account now; "" = none.
  void Serve(const std::string& name, const std::string& revision) {
    const base::MutexLock lock(mutex_);
    const auto found = accounts_.find(name);
    if (found == accounts_.end()) return;
    found->second.connected = found->second.synced = !revision.empty();
    found->second.revision = revision;
  }
  // Whether its agent says so.
  void Sync(const std::string& name, bool synced) {
    const base::MutexLock lock(mutex_);
    accounts_[name].synced = synced;
  }
  // Objects that it cannot store.
  void Refuse(const std::string& name, const std::vector<std::string>& objects) {
    const base::MutexLock lock(mutex_);
    accounts_[name].refused = objects;
  }
  void Own(const std::string& name, const std::string& owner) {
    const base::MutexLock lock(mutex_);
    accounts_[name].uid = "theirs";
    accounts_[name].body["owner"] = owner;
    accounts_[name].body["ownerUid"] = "u";
  }

 private:
  class Client : public rest::Client {
   public:
    explicit Client(FakeEndpoint* endpoint) : endpoint_(endpoint) {}
    absl::StatusOr<rest::Answer> Call(std::string_view method, std::string_view path,
                                      std::string_view body) override {
      return endpoint_->Handle(std::string(method), std::string(path), std::string(body));
    }

   private:
    FakeEndpoint* endpoint_;
  };

  absl::StatusOr<rest::Answer> Handle(const std::string& method, const std::string& path,
                                      const std::string& body) {
    const std::string request = base::StrCat(method, " ", path.substr(0, path.find('?')));
    const Fate fate = script ? script(request) : Fate::kServe;
    if (fate == Fate::kLost) return absl::UnavailableError("fake: not reached");
    const auto answer = Serve(request, method, path, body);
    if (fate == Fate::kAnswerLost) return absl::UnavailableError("fake: the answer was lost");
    return answer;
  }

  absl::StatusOr<rest::Answer> Serve(const std::string& request, const std::string& method,
                                     const std::string& path, const std::string& body) {
    const base::MutexLock lock(mutex_);
    if (method != "GET") writes_.push_back(request);
    if (path == "/v1/enrolment-tokens") {
      return rest::Answer{200, base::StrCat(R"({"token":"token-)", ++tokens_, R"("})")};
    }
    if (path == "/v1/accounts") return All();
    const std::string prefix = "/v1/accounts/";
    const std::string name = path.substr(prefix.size(), path.find('?') - prefix.size());
    const auto found = accounts_.find(name);
    if (method == "PUT") return Put(name, json::ParseJson(body).value());
    if (found == accounts_.end()) return Error(404, "NotFound", "no such account");
    if (method == "DELETE") {
      accounts_.erase(found);
      return rest::Answer{204, ""};
    }
    return rest::Answer{200, json::WriteJson(Shown(found->second))};
  }

  absl::StatusOr<rest::Answer> Put(const std::string& name, const Json::Value& body) {
    Account& account = accounts_[name];
    if (account.uid.empty()) account.uid = base::StrCat("account-", ++uids_);
    if (!account.body.isNull() && account.body["owner"] != body["owner"]) {
      return Error(409, "NameTaken",
                   base::StrCat("the name belongs to ", account.body["owner"].asString()));
    }
    const Json::Value& known = account.body;
    if (!known.isNull() && known["ownerUid"] != body["ownerUid"] &&
        known["ownerUid"] != body["previousOwnerUid"]) {
      return Error(409, "Conflict", "its owner was made again with another uid");
    }
    account.body = body;
    return rest::Answer{200, json::WriteJson(Shown(account))};
  }

  rest::Answer All() {
    Json::Value out;
    out["accounts"] = Json::arrayValue;
    for (const auto& [name, account] : accounts_) {
      out["accounts"].append(Shown(account))["name"] = name;
    }
    return {200, json::WriteJson(out)};
  }

  static Json::Value Shown(const Account& account) {
    Json::Value out;
    out["uid"] = account.uid;
    out["owner"] = account.body["owner"];
    out["ownerUid"] = account.body["ownerUid"];
    out["generation"] = account.body["generation"];
    out["spec"] = account.body["spec"];
    out["status"]["connected"] = account.connected;
    out["status"]["revision"] = account.revision;
    out["status"]["synced"] = account.synced;
    out["status"]["refused"] = Json::UInt64(account.refused.size());
    for (const std::string& one : account.refused) out["status"]["refusedObjects"].append(one);
    return out;
  }

  static rest::Answer Error(int code, const std::string& reason, const std::string& message) {
    Json::Value out;
    out["error"]["reason"] = reason;
    out["error"]["message"] = message;
    return {code, json::WriteJson(out)};
  }

  mutable base::Mutex mutex_;
  std::map<std::string, Account> accounts_;
  std::vector<std::string> writes_;
  int uids_ = 0;
  int tokens_ = 0;
};

}  // namespace fairlead::op
