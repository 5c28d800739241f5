#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/config/config.h"
#include "agent/identity/shared_secret.h"
#include "agent/uplink/grpc_channel.h"
#include "lib/base/backoff.h"
#include "lib/base/loop.h"
#include "lib/wire/transport.h"

namespace fairlead::agent {

struct Credentials {
  std::string key_pem;
  std::string certificate_pem;  // chain
  std::string trust_bundle;     // what the endpoint is verified with
};

// Keeps the agent's certificate: reads it from the identity directory, enrols with the one-time
// token when there is none (or it has expired), renews it with itself at two thirds of its life
// (at most once a minute), and writes it back (0600; a crash at any point leaves a pair that fits).
// With a Secret that the replicas share, the certificate in it counts: the first replica enrols and
// stores, the others use what it stored, also after a renewal; who loses the race reads. Goes on
// trying with backoff; errors are logged, never the token. Loop thread only.
class IdentityKeeper {
 public:
  using MakeChannel = std::function<std::unique_ptr<wire::AgentChannel>(const std::string& target,
                                                                        const Credentials&)>;
  // Called with the first and with each renewed certificate.
  using OnCredentials = std::function<void(const Credentials&)>;

  // `secret` null: the directory alone.
  IdentityKeeper(const Config& config, std::string trust_bundle, MakeChannel make_channel,
                 OnCredentials on_credentials, std::unique_ptr<SharedSecret> secret,
                 base::Loop* loop);
  void Start();

 private:
  bool Load();
  [[nodiscard]] bool Expired(const std::string& certificate_pem) const;
  // Whether the pair can be used now; takes it if so.
  bool Take(const std::string& key_pem, const std::string& certificate_pem,
            const std::string& where);
  void ReadSecret(bool renewal);
  void Store(bool renewal, const Credentials& fresh);
  void Use(const Credentials& credentials, bool renewal);
  void Enrol(bool renewal);
  void OnAnswer(bool renewal, const std::string& key_pem,
                absl::StatusOr<v1::EnrollResponse> answer);
  void Retry(bool renewal, const std::string& why);
  absl::Status Save(const Credentials& credentials) const;
  void ArmRenewal(bool renewed);

  Config config_;
  std::string trust_bundle_;
  MakeChannel make_channel_;
  OnCredentials on_credentials_;
  base::Loop* loop_;
  base::Backoff backoff_;
  size_t next_endpoint_ = 0;
  Credentials current_;
  std::unique_ptr<SharedSecret> secret_;
  std::unique_ptr<wire::AgentChannel> channel_;
  std::unique_ptr<base::Timer> timer_;
};

}  // namespace fairlead::agent
