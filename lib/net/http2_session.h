#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "lib/net/protocol.h"

namespace fairlead::net {

struct Http2Options {
  std::string scheme = "https";
  std::string authority;  // host[:port], for :authority
  uint32_t stream_window = 256u << 10;
  uint32_t connection_window = 4u << 20;
  size_t max_header_bytes = size_t{64} << 10;
  size_t max_streams = 100;  // of our own; the peer's SETTINGS may allow fewer
};

// HTTP/2 (RFC 9113) over nghttp2.
//
// Guarantees: the window of the connection is returned as data comes, whatever the handlers do, and
//   that of a stream only while it is not paused: a stalled watch stops its own sender and nobody
//   else. After GOAWAY streams the server did not take end Unavailable, the others go on.
// Bounds: max_header_bytes of headers an answer; one stream window of data after SetPaused(true).
std::unique_ptr<ClientProtocol> MakeHttp2Session(const Http2Options& options);

}  // namespace fairlead::net
