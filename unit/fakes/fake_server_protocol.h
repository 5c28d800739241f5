#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "unit/fakes/fake_kube.h"

// The server's end of HTTP on one connection of FakeApiServer, without I/O.
namespace fairlead::fakes {

using FakeHandler = std::function<void(const net::HttpRequest&, std::shared_ptr<FakeReply>)>;

// What a connection's protocol tells its server. On the server's thread.
struct FakeServerEvents {
  FakeHandler handle;                                    // a whole request came
  std::function<void()> wake;                            // there may be output; not from Receive()
  std::function<void(int change)> streams;               // exchanges opened or closed
  std::function<void(const std::string&, size_t)> sent;  // body bytes framed, by target
  std::function<void()> pinged;
};

// One thread. Replies may outlive it; they do nothing then.
class FakeServerProtocol {
 public:
  virtual ~FakeServerProtocol() = default;
  // False: the connection is to be closed.
  virtual bool Receive(std::string_view bytes) = 0;
  // Some bytes to send, appended; the caller asks again once they are written.
  virtual void TakeOutput(std::string* out) = 0;
  // The rest is for HTTP/2.
  virtual void Goaway() {}
  virtual void SetMaxStreams(uint32_t most) {}
  // RST_STREAM with `error_code` for every open stream.
  virtual void ResetStreams(uint32_t error_code) {}
};

std::unique_ptr<FakeServerProtocol> MakeFakeHttp2(FakeServerEvents events, uint32_t max_streams);
std::unique_ptr<FakeServerProtocol> MakeFakeHttp1(FakeServerEvents events);

}  // namespace fairlead::fakes
