#include "agent/identity/identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/base/config_reader.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/log/log.h"
#include "lib/net/x509.h"

namespace fairlead::agent {

namespace {

absl::Status WriteFile(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const auto failed = [&](const char* what) {
    return absl::UnavailableError(base::StrCat(what, " ", path, ": ", std::strerror(errno)));
  };
  if (fd < 0) return failed("cannot write");
  const bool written =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  close(fd);
  if (!written) return failed("cannot write");
  if (rename(fresh.c_str(), path.c_str()) != 0) return failed("cannot replace");
  return absl::OkStatus();
}

}  // namespace

IdentityKeeper::IdentityKeeper(const Config& config, std::string trust_bundle,
                               MakeChannel make_channel, OnCredentials on_credentials,
                               base::Loop* loop)
    : config_(config),
      trust_bundle_(std::move(trust_bundle)),
      make_channel_(std::move(make_channel)),
      on_credentials_(std::move(on_credentials)),
      loop_(loop),
      backoff_({.first = base::milliseconds(500), .most = base::seconds(60)},
               static_cast<uint64_t>(loop->clock().WallMs())) {}

void IdentityKeeper::Start() {
  if (!Load()) return Enrol(false);
  on_credentials_(current_);
  ArmRenewal();
}

bool IdentityKeeper::Load() {
  const std::filesystem::path dir = config_.identity.dir;
  const auto key = base::ReadFile(dir / "tls.key");
  const auto certificate = base::ReadFile(dir / "tls.crt");
  if (!key.ok() || !certificate.ok()) return false;
  const auto info = net::Describe(*certificate);
  if (!info.ok() || !net::KeyFits(*key, *certificate)) {
    log::Warn("the stored certificate is not usable; enrolling again", {{"dir", dir.string()}});
    return false;
  }
  if (info->not_after * 1000 <= loop_->clock().WallMs()) {
    log::Warn("the stored certificate has expired; enrolling again", {{"dir", dir.string()}});
    return false;
  }
  current_ = {*key, *certificate, trust_bundle_};
  return true;
}

void IdentityKeeper::Enrol(bool renewal) {
  const auto key = net::NewKey();
  if (!key.ok()) return Retry(renewal, key.status().ToString());
  const auto request = net::NewRequest(*key, config_.identity.name);
  if (!request.ok()) return Retry(renewal, request.status().ToString());
  v1::EnrollRequest enroll;
  enroll.set_identity(config_.identity.name);
  enroll.set_csr_pem(*request);
  if (renewal) {
    enroll.set_current_certificate(true);
  } else {
    auto token = base::ReadFile(config_.identity.token_file);
    if (!token.ok())
      return Retry(renewal,
                   base::StrCat("no certificate yet, and no token: ", token.status().ToString()));
    while (!token->empty() && static_cast<unsigned char>(token->back()) <= ' ') token->pop_back();
    enroll.set_token(*std::move(token));
  }
  const std::string target = config_.endpoints[next_endpoint_++ % config_.endpoints.size()];
  channel_ = make_channel_(target, renewal ? current_ : Credentials{"", "", trust_bundle_});
  channel_->Enroll(enroll, [this, renewal, key = *key](absl::StatusOr<v1::EnrollResponse> answer) {
    OnAnswer(renewal, key, std::move(answer));
  });
}

void IdentityKeeper::OnAnswer(bool renewal, const std::string& key_pem,
                              absl::StatusOr<v1::EnrollResponse> answer) {
  if (!answer.ok()) return Retry(renewal, answer.status().ToString());
  const Credentials fresh{key_pem, answer->certificate_pem(), trust_bundle_};
  if (!net::KeyFits(fresh.key_pem, fresh.certificate_pem)) {
    return Retry(renewal, "the endpoint answered with a certificate for another key");
  }
  if (const absl::Status saved = Save(fresh); !saved.ok()) {
    // It works until the process ends; after that the token is spent.
    log::Error("the certificate could not be stored", {{"error", saved}});
  }
  current_ = fresh;
  backoff_.Reset();
  log::Info(renewal ? "certificate renewed" : "enrolled", {{"identity", config_.identity.name}});
  on_credentials_(current_);
  ArmRenewal();
}

void IdentityKeeper::Retry(bool renewal, const std::string& why) {
  log::Warn(renewal ? "certificate not renewed" : "not enrolled",
            {{"identity", config_.identity.name}, {"reason", why}});
  timer_ = loop_->After(backoff_.Next(), [this, renewal] { Enrol(renewal); });
}

absl::Status IdentityKeeper::Save(const Credentials& credentials) const {
  const std::filesystem::path dir = config_.identity.dir;
  std::error_code ignored;
  std::filesystem::create_directories(dir, ignored);
  FAIRLEAD_RETURN_IF_ERROR(WriteFile(dir / "tls.key", credentials.key_pem));
  return WriteFile(dir / "tls.crt", credentials.certificate_pem);
}

void IdentityKeeper::ArmRenewal() {
  const auto info = net::Describe(current_.certificate_pem);
  if (!info.ok()) return;
  const int64_t life = info->not_after - info->not_before;
  const int64_t left = info->not_before + life * 2 / 3 - loop_->clock().WallMs() / 1000;
  timer_ = loop_->After(base::seconds(std::max<int64_t>(left, 1)), [this] { Enrol(true); });
}

}  // namespace fairlead::agent
