#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "operator/controllers/endpoint_client.h"

namespace fairlead::op {

// What the endpoints say of their accounts, a couple of seconds old at most. Becoming connected or
// synced counts at once; losing it counts after a minute, so that an endpoint's restart or an
// agent's hand-over writes nothing into the API.
class FleetView {
 public:
  struct Live {
    bool connected = false;
    bool synced = false;
    std::string refused;   // objects that could not be stored, for more than a minute; "" = none
    std::string revision;  // of the agent that serves; the last one while it is away shortly
    friend bool operator==(const Live&, const Live&) = default;
  };
  // Called on the view's thread when an account's Live changed.
  using OnChange = std::function<void(const std::string& account_name)>;

  FleetView(std::map<std::string, EndpointClient*> endpoints, OnChange on_change,
            const base::Clock* clock = &base::Clock::Real());
  ~FleetView();
  void Start();
  void Stop();
  // Asks every endpoint once; Start() does it again and again.
  void Poll();
  // nullopt: nothing heard from the endpoint yet, so nothing is known.
  [[nodiscard]] std::optional<Live> Get(const std::string& endpoint,
                                        const std::string& account_name) const;

 private:
  struct Entry {
    Live live;
    base::Time connected_at{};
    base::Time synced_at{};
    base::Time whole_at{};  // nothing was refused
  };
  struct Fleet {
    bool heard = false;
    std::map<std::string, Entry> accounts;
  };
  void Run();
  void PollOne(const std::string& name, EndpointClient* endpoint);

  std::map<std::string, EndpointClient*> endpoints_;
  OnChange on_change_;
  const base::Clock* clock_;
  mutable base::Mutex mutex_;
  base::CondVar wake_;
  bool stopping_ = false;
  std::map<std::string, Fleet> fleets_;
  std::thread thread_;
};

}  // namespace fairlead::op
