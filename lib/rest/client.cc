#include "lib/rest/client.h"

#include <cpprest/http_client.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>
#include <utility>

#include "lib/base/strings.h"

namespace fairlead::rest {

namespace {

using base::StrCat;
using web::http::http_exception;

bool Loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

void UsePem(boost::asio::ssl::context& context, const ClientOptions& options) {
  context.set_options(boost::asio::ssl::context::no_sslv2 | boost::asio::ssl::context::no_sslv3 |
                      boost::asio::ssl::context::no_tlsv1 | boost::asio::ssl::context::no_tlsv1_1);
  if (!options.ca_pem.empty()) {
    // cpprest has loaded the system's roots by now; a given CA is to be the only one.
    SSL_CTX_set_cert_store(context.native_handle(), X509_STORE_new());
    context.add_certificate_authority(boost::asio::buffer(options.ca_pem));
  } else {
    context.set_default_verify_paths();
  }
  if (options.certificate_pem.empty()) return;
  context.use_certificate_chain(boost::asio::buffer(options.certificate_pem));
  context.use_private_key(boost::asio::buffer(options.key_pem),
                          boost::asio::ssl::context::file_format::pem);
}

absl::Status CheckOptions(const ClientOptions& options) {
  const web::uri uri(options.base_url);
  if (uri.host().empty() || (uri.scheme() != "https" && uri.scheme() != "http")) {
    return absl::InvalidArgumentError(
        StrCat("\"", options.base_url, "\" is no URL of the form https://host:port"));
  }
  if (uri.scheme() == "http" && !Loopback(uri.host())) {
    return absl::InvalidArgumentError(
        StrCat(options.base_url, ": http is for loopback addresses only; use https"));
  }
  if (uri.scheme() == "http" && !options.bearer_token.empty()) {
    return absl::InvalidArgumentError(
        StrCat(options.base_url, ": a token is not sent over http; use https"));
  }
  if (options.bearer_token.find_first_of("\r\n") != std::string::npos) {
    return absl::InvalidArgumentError("the bearer token contains a line break");
  }
  // cpprest would meet a bad PEM text at the first call, and only say "handshake failed".
  boost::asio::ssl::context probe(boost::asio::ssl::context::tls_client);
  UsePem(probe, options);
  return absl::OkStatus();
}

absl::Status StatusOf(const std::exception& thrown, const ClientOptions& options) {
  const auto* http = dynamic_cast<const http_exception*>(&thrown);
  const std::string what = StrCat(options.base_url, ": ", thrown.what());
  if (http != nullptr && http->error_code() == std::errc::timed_out) {
    return absl::DeadlineExceededError(what);
  }
  return absl::UnavailableError(what);
}

class CpprestClient : public Client {
 public:
  explicit CpprestClient(ClientOptions options) : options_(std::move(options)) {
    web::http::client::http_client_config config;
    config.set_timeout(std::chrono::duration_cast<std::chrono::milliseconds>(options_.timeout));
    // A redirect is an answer like any other: followed, it would take the token elsewhere.
    config.set_max_redirects(0);
    config.set_proxy(web::web_proxy(web::web_proxy::disabled));
    config.set_validate_certificates(true);
    config.set_ssl_context_callback(
        [this](boost::asio::ssl::context& context) { UsePem(context, options_); });
    client_ = std::make_unique<web::http::client::http_client>(options_.base_url, config);
  }

  absl::StatusOr<Answer> Call(std::string_view method, std::string_view path,
                              std::string_view body) override {
    try {
      return Exchange(method, path, body);
    } catch (const std::exception& thrown) {
      return StatusOf(thrown, options_);
    }
  }

 private:
  absl::StatusOr<Answer> Exchange(std::string_view method, std::string_view path,
                                  std::string_view body) {
    web::http::http_request request{web::http::method(std::string(method))};
    request.set_request_uri(web::uri(std::string(path)));
    request.headers().add("User-Agent", options_.user_agent);
    if (!options_.bearer_token.empty()) {
      request.headers().add("Authorization", StrCat("Bearer ", options_.bearer_token));
    }
    if (!body.empty()) request.set_body(std::string(body), "application/json");
    web::http::http_response response = client_->request(request).get();
    Answer answer;
    answer.code = response.status_code();
    concurrency::streams::istream stream = response.body();
    concurrency::streams::container_buffer<std::string> piece;
    constexpr size_t kPiece = size_t{64} << 10;
    size_t total = 0;
    while (const size_t read = stream.read(piece, kPiece).get()) {
      total += read;
      if (total > options_.max_answer_bytes) {
        return absl::ResourceExhaustedError(StrCat(options_.base_url,
                                                   ": the answer is longer than ",
                                                   options_.max_answer_bytes, " bytes"));
      }
    }
    // The buffer grows by whole pieces; what lies behind the last byte read is not the server's.
    answer.body = std::move(piece.collection());
    answer.body.resize(total);
    return answer;
  }

  const ClientOptions options_;
  std::unique_ptr<web::http::client::http_client> client_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Make(const ClientOptions& options) {
  try {
    const absl::Status usable = CheckOptions(options);
    if (!usable.ok()) return usable;
    return std::make_unique<CpprestClient>(options);
  } catch (const std::exception& thrown) {
    return absl::InvalidArgumentError(StrCat(options.base_url, ": ", thrown.what()));
  }
}

}  // namespace fairlead::rest
