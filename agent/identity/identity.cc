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

constexpr char kKey[] = "tls.key";
constexpr char kNewKey[] = "tls.key.new";
constexpr char kCertificate[] = "tls.crt";
constexpr char kNewCertificate[] = "tls.crt.new";

absl::Status Failed(const char* what, const std::filesystem::path& path) {
  return absl::UnavailableError(base::StrCat(what, " ", path.string(), ": ", std::strerror(errno)));
}

absl::Status WriteFile(const std::filesystem::path& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Failed("cannot write", path);
  const bool written =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  close(fd);
  return written ? absl::OkStatus() : Failed("cannot write", path);
}

absl::Status Replace(const std::filesystem::path& dir, const char* fresh, const char* name) {
  if (rename((dir / fresh).c_str(), (dir / name).c_str()) == 0) return absl::OkStatus();
  return Failed("cannot replace", dir / name);
}

std::string TextOf(const std::filesystem::path& path) { return base::ReadFile(path).value_or(""); }

}  // namespace

IdentityKeeper::IdentityKeeper(const Config& config, std::string trust_bundle,
                               MakeChannel make_channel, OnCredentials on_credentials,
                               std::unique_ptr<SharedSecret> secret, base::Loop* loop)
    : config_(config),
      trust_bundle_(std::move(trust_bundle)),
      make_channel_(std::move(make_channel)),
      on_credentials_(std::move(on_credentials)),
      loop_(loop),
      backoff_({.first = base::milliseconds(500), .most = base::seconds(60)},
               static_cast<uint64_t>(loop->clock().WallMs())),
      secret_(std::move(secret)) {}

void IdentityKeeper::Start() {
  if (secret_) return ReadSecret(false);
  if (!Load()) return Enrol(false);
  Use(current_, false);
}

bool IdentityKeeper::Load() {
  const std::filesystem::path dir = config_.identity.dir;
  const std::string certificate = TextOf(dir / kCertificate);
  std::string key = TextOf(dir / kKey);
  if (certificate.empty()) return false;
  // Save() was interrupted between its two renames.
  const std::string fresh = TextOf(dir / kNewKey);
  if (!net::KeyFits(key, certificate) && net::KeyFits(fresh, certificate)) {
    key = fresh;
    if (const absl::Status done = Replace(dir, kNewKey, kKey); !done.ok()) {
      log::Warn("the certificate's key keeps its temporary name", {{"error", done}});
    }
  }
  return Take(key, certificate, dir.string());
}

bool IdentityKeeper::Expired(const std::string& certificate_pem) const {
  const auto info = net::Describe(certificate_pem);
  return !info.ok() || info->not_after * 1000 <= loop_->clock().WallMs();
}

bool IdentityKeeper::Take(const std::string& key_pem, const std::string& certificate_pem,
                          const std::string& where) {
  if (!net::KeyFits(key_pem, certificate_pem)) {
    log::Warn("the stored certificate is not usable; enrolling again", {{"where", where}});
    return false;
  }
  if (Expired(certificate_pem)) {
    log::Warn("the stored certificate has expired; enrolling again", {{"where", where}});
    return false;
  }
  current_ = {key_pem, certificate_pem, trust_bundle_};
  return true;
}

// What another replica stored since makes enrolling, or renewing, unnecessary.
void IdentityKeeper::ReadSecret(bool renewal) {
  secret_->Read([this, renewal](absl::StatusOr<SharedSecret::Pair> pair) {
    if (!pair.ok()) return Retry(renewal, pair.status().ToString());
    const bool known = pair->certificate_pem == current_.certificate_pem;
    if (!pair->certificate_pem.empty() && !known &&
        Take(pair->key_pem, pair->certificate_pem, "the identity Secret")) {
      return Use(current_, renewal);
    }
    Enrol(renewal);
  });
}

void IdentityKeeper::Use(const Credentials& credentials, bool renewal) {
  current_ = credentials;
  backoff_.Reset();
  log::Info(renewal ? "certificate renewed" : "certificate ready",
            {{"identity", config_.identity.name}});
  on_credentials_(current_);
  ArmRenewal(renewal);
}

void IdentityKeeper::Enrol(bool renewal) {
  // What has expired opens no door any more; a new token may lie there.
  renewal = renewal && !Expired(current_.certificate_pem);
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
  if (!renewal) log::Info("enrolled", {{"identity", config_.identity.name}});
  Store(renewal, fresh);
}

void IdentityKeeper::Store(bool renewal, const Credentials& fresh) {
  if (!secret_) {
    if (const absl::Status saved = Save(fresh); !saved.ok()) {
      // It works until the process ends; after that the token is spent.
      log::Error("the certificate could not be stored", {{"error", saved}});
    }
    return Use(fresh, renewal);
  }
  secret_->Write({fresh.key_pem, fresh.certificate_pem},
                 [this, renewal, fresh](const absl::Status& written) {
                   // Another replica was faster: its certificate is the shared one.
                   if (absl::IsAborted(written)) return ReadSecret(renewal);
                   if (!written.ok()) {
                     log::Error("the certificate could not be stored", {{"error", written}});
                   }
                   Use(fresh, renewal);
                 });
}

void IdentityKeeper::Retry(bool renewal, const std::string& why) {
  log::Warn(renewal ? "certificate not renewed" : "not enrolled",
            {{"identity", config_.identity.name}, {"reason", why}});
  timer_ = loop_->After(backoff_.Next(), [this, renewal] {
    if (secret_) return ReadSecret(renewal);
    Enrol(renewal);
  });
}

absl::Status IdentityKeeper::Save(const Credentials& credentials) const {
  const std::filesystem::path dir = config_.identity.dir;
  std::error_code ignored;
  std::filesystem::create_directories(dir, ignored);
  // The token is spent: at no moment may the directory hold no pair that fits.
  FAIRLEAD_RETURN_IF_ERROR(WriteFile(dir / kNewKey, credentials.key_pem));
  FAIRLEAD_RETURN_IF_ERROR(WriteFile(dir / kNewCertificate, credentials.certificate_pem));
  FAIRLEAD_RETURN_IF_ERROR(Replace(dir, kNewCertificate, kCertificate));
  return Replace(dir, kNewKey, kKey);
}

// A certificate may be due as soon as it is issued: the clocks differ, or the issuer's own end is
// near and no certificate outlives it. Then it is renewed once a minute, not in a loop.
void IdentityKeeper::ArmRenewal(bool renewed) {
  const auto info = net::Describe(current_.certificate_pem);
  if (!info.ok()) return;
  const int64_t life = info->not_after - info->not_before;
  const int64_t left = info->not_before + life * 2 / 3 - loop_->clock().WallMs() / 1000;
  timer_ = loop_->After(base::seconds(std::max<int64_t>(left, renewed ? 60 : 1)), [this] {
    if (secret_) return ReadSecret(true);
    Enrol(true);
  });
}

}  // namespace fairlead::agent
