#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "lib/net/http.h"

namespace fairlead::net {

// The head of an HTTP/1.1 answer (RFC 9112): the status line, `headers`, and what concerns the
// connection: a Content-Length, or chunks when there is no `length`; neither with a status that has
// no body (204, 304). Headers that are none (RFC 9110 section 5: a name of other characters, a
// value with a control character) are left out, as they may come from strangers. Pure. Tests:
// unit/lib/net/http_server_test.cc.
std::string ResponseHead(int status, const Headers& headers, std::optional<size_t> length,
                         bool keep_alive);

// `data`, which is not empty, as a chunk of the body.
std::string Chunk(std::string_view data);

}  // namespace fairlead::net
