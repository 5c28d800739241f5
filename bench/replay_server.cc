#include "bench/replay_server.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "bench/replay_connection.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"

namespace fairlead::bench {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

int SelectHttp2(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                unsigned offered_size, void*) {
  static constexpr unsigned char kHttp2[] = "\x02h2";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, kHttp2, sizeof kHttp2 - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

class Server : public ReplayServer {
 public:
  explicit Server(ReplayApi* api) : api_(api), wake_(eventfd(0, EFD_CLOEXEC)) {}

  ~Server() override {
    ending_ = true;
    Wake();
    shutdown(listener_, SHUT_RDWR);
    if (accepting_.joinable()) accepting_.join();
    {
      const base::MutexLock lock(mutex_);
      for (const int socket : sockets_) shutdown(socket, SHUT_RDWR);
    }
    for (std::thread& one : serving_) one.join();
    close(listener_);
    close(wake_);
  }

  absl::Status Listen(const std::string& dir) {
    tls_.reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* tls = tls_.get();
    if (SSL_CTX_use_certificate_chain_file(tls, (dir + "/server.crt").c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, (dir + "/server.key").c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_locations(tls, (dir + "/ca.crt").c_str(), nullptr) != 1) {
      return absl::InvalidArgumentError("replay: the certificates cannot be read");
    }
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_alpn_select_cb(tls, SelectHttp2, nullptr);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, any, size) != 0 || listen(listener_, 16) != 0 ||
        getsockname(listener_, any, &size) != 0) {
      return absl::UnavailableError("replay: cannot listen on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { Accept(); });
    return absl::OkStatus();
  }

  [[nodiscard]] int port() const override { return port_; }

  void Release() override {
    api_->Release();
    Wake();
  }

 private:
  void Wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
  }

  void Accept() {
    for (;;) {
      const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) return;
      {
        const base::MutexLock lock(mutex_);
        sockets_.insert(socket);
      }
      serving_.emplace_back([this, socket] {
        ReplayConnection connection(socket, tls_.get(), api_, wake_, &ending_);
        connection.Run();
        const base::MutexLock lock(mutex_);
        sockets_.erase(socket);
      });
    }
  }

  ReplayApi* api_;
  int wake_;
  int listener_ = -1;
  int port_ = 0;
  std::unique_ptr<SSL_CTX, FreeContext> tls_;
  std::atomic<bool> ending_{false};
  base::Mutex mutex_;
  std::set<int> sockets_;
  std::vector<std::thread> serving_;  // of the accepting thread, until that is joined
  std::thread accepting_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ReplayServer>> ReplayServer::Start(const std::string& dir,
                                                                  ReplayApi* api) {
  auto server = std::make_unique<Server>(api);
  FAIRLEAD_RETURN_IF_ERROR(server->Listen(dir));
  return server;
}

}  // namespace fairlead::bench
