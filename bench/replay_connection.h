#pragma once

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bench/replay_api.h"

// One connection of ReplayServer. Heavy: for its .cc files.
namespace fairlead::bench {

class ReplayConnection {
 public:
  // Takes over `socket`. `wake` is an eventfd that is readable from the release on, and at the end.
  ReplayConnection(int socket, SSL_CTX* tls, const ReplayApi* api, int wake,
                   const std::atomic<bool>* ending);
  ~ReplayConnection();
  ReplayConnection(const ReplayConnection&) = delete;
  ReplayConnection& operator=(const ReplayConnection&) = delete;
  // Until either end closes. Blocks.
  void Run();

 private:
  struct Stream {
    std::string target;
    std::unique_ptr<ReplayBody> body;
    std::string piece;
    size_t taken = 0;
    bool deferred = false;
  };
  static ReplayConnection* Self(void* user) { return static_cast<ReplayConnection*>(user); }
  static ssize_t Read(nghttp2_session* session, int32_t id, uint8_t* buffer, size_t size,
                      uint32_t* flags, nghttp2_data_source* source, void* user);
  void MakeSession();
  void Answer(int32_t id);
  void ResumeDeferred();
  bool Send();     // false: the connection is over
  bool Receive();  // false: the connection is over
  void Wait();

  int socket_;
  SSL* tls_;
  const ReplayApi* api_;
  int wake_;
  const std::atomic<bool>* ending_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<int32_t, Stream> streams_;
  std::string output_;
  size_t sent_ = 0;
  std::string input_;
  bool resumed_ = false;  // the release was seen
  bool received_ = false;
};

}  // namespace fairlead::bench
