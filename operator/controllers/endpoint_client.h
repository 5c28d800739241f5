#pragma once

#include <json/value.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/rest/client.h"

namespace fairlead::op {

// What an endpoint says of one account (docs/reference/rest.md).
struct RegisteredAccount {
  std::string uid;
  std::string owner;
  bool connected = false;
  bool synced = false;  // every watched kind follows the cluster, or is refused there
  std::string revision;
  std::string refused;  // which objects could not be stored, and why, for people; "" = none
  friend bool operator==(const RegisteredAccount&, const RegisteredAccount&) = default;
};

struct AccountRegistration {
  std::string name;
  std::string owner;
  std::string owner_uid;
  int64_t generation = 0;
  std::string spec_json;
};

// One endpoint's REST, as role `operator`. Any thread but loops; every call ends in 10 s.
class EndpointClient {
 public:
  // Makes the client with a certificate that is valid now; asked again every 12 hours.
  using MakeClient = std::function<absl::StatusOr<std::unique_ptr<rest::Client>>()>;
  // `may_write` is the fence: without it nothing but reads is sent. Empty = always.
  explicit EndpointClient(MakeClient make_client, std::function<bool()> may_write = nullptr)
      : make_client_(std::move(make_client)), may_write_(std::move(may_write)) {}

  // Writes only when the endpoint has anything else. The same owner made again (a hub rebuilt from
  // Git) takes over. AlreadyExists: the name belongs to another owner (the message says whom).
  absl::StatusOr<RegisteredAccount> Put(const AccountRegistration& account);
  // OK also when there is none, or another owner's.
  absl::Status Delete(const std::string& name, const std::string& owner);
  absl::StatusOr<std::string> CreateToken(const std::string& identity, int64_t lifetime_seconds);
  absl::StatusOr<std::map<std::string, RegisteredAccount>> List();

 private:
  absl::StatusOr<RegisteredAccount> Get(const std::string& name);
  absl::StatusOr<Json::Value> Show(const std::string& name);
  absl::StatusOr<rest::Answer> Call(std::string_view method, const std::string& path,
                                    const std::string& body);

  MakeClient make_client_;
  std::function<bool()> may_write_;
  base::Mutex mutex_;
  std::shared_ptr<rest::Client> client_;
  base::Time made_{};
};

}  // namespace fairlead::op
