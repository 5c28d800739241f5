#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "lib/net/protocol.h"

namespace fairlead::net {

// HTTP/1.1 (RFC 9112), one exchange at a time: the fallback for old proxies. An answer without a
// length that only the connection's end finishes is Unavailable, since it cannot be told from a
// cut. A cancelled or paused exchange costs the connection: draining() is true then.
std::unique_ptr<ClientProtocol> MakeHttp1Session(std::string authority,
                                                 size_t max_header_bytes = size_t{64} << 10);

}  // namespace fairlead::net
