#include "lib/net/response_head.h"

#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <cstdio>

#include "lib/base/strings.h"

namespace fairlead::net {

namespace {

bool HeaderOk(std::string_view name, std::string_view value) {
  const auto in_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  const auto in_value = [](char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), in_name) &&
         std::all_of(value.begin(), value.end(), in_value);
}

}  // namespace

std::string ResponseHead(int status, const Headers& headers, std::optional<size_t> length,
                         bool keep_alive) {
  namespace http = boost::beast::http;
  std::string text =
      base::StrCat("HTTP/1.1 ", status, " ",
                   std::string(http::obsolete_reason(static_cast<http::status>(status))), "\r\n");
  for (const auto& [name, value] : headers) {
    if (HeaderOk(name, value)) text += base::StrCat(name, ": ", value, "\r\n");
  }
  if (!keep_alive) text += "Connection: close\r\n";
  if (status != 204 && status != 304) {
    text += length ? base::StrCat("Content-Length: ", *length, "\r\n")
                   : "Transfer-Encoding: chunked\r\n";
  }
  return text + "\r\n";
}

std::string Chunk(std::string_view data) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  return base::StrCat(std::string(size), data, "\r\n");
}

}  // namespace fairlead::net
