#pragma once

#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

// TLS of our HTTP server. Heavy: for .cc files of lib/net.
namespace fairlead::net {

struct ServerTlsFiles {
  std::string certificate;  // chain
  std::string key;
  std::string ca;  // "" = client certificates are not asked for
};

// TLS 1.2 or later, no session resumption. With a `ca` a client certificate is asked for and must
// verify when given. Errors name the file.
absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> MakeServerContext(
    const ServerTlsFiles& files);

// Changes when any of the files does (inode and modification time).
std::string FilesStamp(const ServerTlsFiles& files);

// SAN URIs of the peer's verified certificate; none without one.
std::vector<std::string> PeerUris(SSL* connection);

}  // namespace fairlead::net
