#include "lib/net/client_connection.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "lib/base/strings.h"
#include "lib/net/http1_session.h"
#include "lib/net/http2_session.h"

namespace fairlead::net {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

namespace {

constexpr size_t kReadBytes = size_t{64} << 10;

std::string Authority(const HttpClientOptions& options) {
  const bool six = options.host.find(':') != std::string::npos;
  const std::string host = six ? base::StrCat("[", options.host, "]") : options.host;
  const bool usual = options.port == (options.scheme == "https" ? 443 : 80);
  return usual ? host : base::StrCat(host, ":", options.port);
}

std::string TlsReason(const boost::system::error_code& error, SSL* connection) {
  const int64_t verified = SSL_get_verify_result(connection);
  if (verified != X509_V_OK) {
    return base::StrCat("the server's certificate was not accepted: ",
                        std::string(X509_verify_cert_error_string(verified)));
  }
  return base::StrCat("TLS: ", error.message());
}

}  // namespace

absl::StatusOr<std::shared_ptr<ssl::context>> MakeClientContext(const HttpClientOptions& options) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  boost::system::error_code error;
  context->set_options(ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, error);
  context->set_verify_mode(ssl::verify_peer, error);
  if (options.ca_pem.empty()) {
    context->set_default_verify_paths(error);
  } else {
    context->add_certificate_authority(asio::buffer(options.ca_pem), error);
  }
  if (error) return absl::InvalidArgumentError("the CA is not a readable certificate");
  if (!options.certificate_pem.empty()) {
    context->use_certificate_chain(asio::buffer(options.certificate_pem), error);
    if (error) return absl::InvalidArgumentError("the client certificate is not readable");
    context->use_private_key(asio::buffer(options.key_pem), ssl::context::pem, error);
    if (error || SSL_CTX_check_private_key(context->native_handle()) != 1) {
      return absl::InvalidArgumentError("the client key does not fit its certificate");
    }
  }
  static constexpr unsigned char kBoth[] = "\x02h2\x08http/1.1";
  static constexpr unsigned char kOld[] = "\x08http/1.1";
  const bool old = options.http1_only;
  SSL_CTX_set_alpn_protos(context->native_handle(), old ? kOld : kBoth,
                          static_cast<unsigned>(old ? sizeof kOld - 1 : sizeof kBoth - 1));
  return context;
}

ClientConnection::ClientConnection(asio::io_context& io, std::shared_ptr<ssl::context> context,
                                   const HttpClientOptions& options, Owner* owner)
    : io_(io),
      context_(std::move(context)),
      options_(options),
      owner_(owner),
      resolver_(io),
      timer_(io),
      read_buffer_(std::make_unique<char[]>(kReadBytes)) {
  if (context_) {
    tls_.emplace(io_, *context_);
  } else {
    tcp_.emplace(io_);
  }
}

void ClientConnection::Connect() {
  timer_.expires_after(options_.connect_timeout);
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (!error && !self->connected_) {
      self->Fail(absl::UnavailableError(
          base::StrCat("no connection to ", Authority(self->options_), " in time")));
    }
  });
  resolver_.async_resolve(
      options_.address.empty() ? options_.host : options_.address, std::to_string(options_.port),
      [self = shared_from_this()](error_code error, const tcp::resolver::results_type& addresses) {
        if (self->owner_ == nullptr) return;
        if (!error) return self->OnResolved(addresses);
        self->Fail(absl::UnavailableError(
            base::StrCat("cannot resolve ", self->options_.host, ": ", error.message())));
      });
}

void ClientConnection::OnResolved(const tcp::resolver::results_type& addresses) {
  asio::async_connect(
      socket(), addresses, [self = shared_from_this()](error_code error, const tcp::endpoint&) {
        if (self->owner_ == nullptr) return;
        if (!error) return self->OnTcp();
        self->Fail(absl::UnavailableError(
            base::StrCat("cannot connect to ", Authority(self->options_), ": ", error.message())));
      });
}

void ClientConnection::OnTcp() {
  error_code ignored;
  socket().set_option(tcp::no_delay(true), ignored);
  socket().set_option(asio::socket_base::keep_alive(true), ignored);
  if (!tls_) return OnSecured();
  const std::string& name = options_.server_name.empty() ? options_.host : options_.server_name;
  SSL* connection = tls_->native_handle();
  X509_VERIFY_PARAM* verify = SSL_get0_param(connection);
  if (X509_VERIFY_PARAM_set1_ip_asc(verify, name.c_str()) != 1) {
    SSL_set_tlsext_host_name(connection, name.c_str());
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_host(verify, name.c_str(), name.size()) != 1) {
      return Fail(absl::UnavailableError("the server's name cannot be verified"));
    }
  }
  tls_->async_handshake(ssl::stream_base::client, [self = shared_from_this()](error_code error) {
    if (self->owner_ == nullptr) return;
    if (!error) return self->OnSecured();
    self->Fail(absl::UnavailableError(TlsReason(error, self->tls_->native_handle())));
  });
}

void ClientConnection::OnSecured() {
  if (tls_) {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(tls_->native_handle(), &name, &size);
    http2_ = std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
  }
  if (http2_) {
    Http2Options options;
    options.authority = Authority(options_);
    options.max_streams = options_.streams_per_connection;
    protocol_ = MakeHttp2Session(options);
  } else {
    protocol_ = MakeHttp1Session(Authority(options_));
  }
  if (protocol_->ready()) OnReady();
  Pump();
}

// A server that allows fewer streams than are waiting refuses what comes before it could say so;
// therefore the first exchange waits for its SETTINGS.
void ClientConnection::OnReady() {
  connected_ = true;
  heard_ = base::Clock::Real().Now();
  Watch();
  owner_->OnConnected(this);
}

// Output is gathered until the loop comes round, so that many requests share one write.
void ClientConnection::Pump() {
  if (std::exchange(pump_posted_, true)) return;
  asio::post(io_, [self = shared_from_this()] {
    self->pump_posted_ = false;
    if (self->owner_ == nullptr) return;
    self->Write();
    // The last exchange was cancelled: HTTP/1.1 can only stop its server by hanging up.
    if (self->protocol_->draining() && self->protocol_->open() == 0) {
      return self->Fail(absl::UnavailableError("the connection takes no more exchanges"));
    }
    self->Read();
  });
}

void ClientConnection::Read() {
  if (read_open_ || owner_ == nullptr || !protocol_->WantsRead()) return;
  read_open_ = true;
  const auto done = [self = shared_from_this()](error_code error, size_t size) {
    self->read_open_ = false;
    self->OnRead(error, size);
  };
  const auto buffer = asio::buffer(read_buffer_.get(), kReadBytes);
  if (tls_) {
    tls_->async_read_some(buffer, done);
  } else {
    tcp_->async_read_some(buffer, done);
  }
}

void ClientConnection::OnRead(error_code error, size_t size) {
  if (owner_ == nullptr) return;
  if (error) {
    return Fail(absl::UnavailableError(
        base::StrCat("the connection to ", Authority(options_), " was lost: ", error.message())));
  }
  heard_ = base::Clock::Real().Now();
  pinged_ = false;
  const size_t before = protocol_->open();
  const absl::Status status = protocol_->Receive({read_buffer_.get(), size});
  if (owner_ == nullptr) return;  // a handler closed us
  if (!status.ok()) return Fail(status);
  if (!connected_ && protocol_->ready()) OnReady();
  if (owner_ == nullptr) return;
  if (protocol_->open() < before || protocol_->draining()) owner_->OnIdle(this);
  if (owner_ == nullptr) return;
  if (protocol_->draining() && protocol_->open() == 0) {
    return Fail(absl::UnavailableError("the server asked for the connection's end"));
  }
  Write();
  Read();
}

void ClientConnection::Write() {
  if (write_open_ || owner_ == nullptr) return;
  protocol_->TakeOutput(&output_);
  if (output_.empty()) return;
  writing_.swap(output_);
  output_.clear();
  write_open_ = true;
  const auto done = [self = shared_from_this()](error_code error, size_t) {
    self->write_open_ = false;
    if (self->owner_ == nullptr) return;
    if (error) {
      return self->Fail(absl::UnavailableError(base::StrCat(
          "the connection to ", Authority(self->options_), " was lost: ", error.message())));
    }
    self->Write();
  };
  if (tls_) {
    asio::async_write(*tls_, asio::buffer(writing_), done);
  } else {
    asio::async_write(*tcp_, asio::buffer(writing_), done);
  }
}

// A silent TCP death is invisible to a reader for many minutes, so silence is asked about.
void ClientConnection::Watch() {
  const base::Duration silent = base::Clock::Real().Now() - heard_;
  const base::Duration rest = std::max(options_.ping_after - silent, base::Duration::zero());
  timer_.expires_after(pinged_ ? options_.ping_timeout : http2_ ? rest : options_.ping_after);
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (error || self->owner_ == nullptr) return;
    if (!self->http2_) return self->Watch();
    // Also without exchanges: the next one shall not be the one that finds the connection dead.
    if (!self->pinged_ && base::Clock::Real().Now() - self->heard_ < self->options_.ping_after) {
      return self->Watch();
    }
    error_code ignored;
    // What came while this loop was late says that the other end lives.
    if (self->pinged_ && self->socket().available(ignored) > 0) return self->Watch();
    if (std::exchange(self->pinged_, true)) {
      return self->Fail(absl::UnavailableError(base::StrCat(
          "the connection to ", Authority(self->options_), " is dead: no answer to a ping")));
    }
    self->protocol_->Ping();
    self->Write();
    self->Watch();
  });
}

void ClientConnection::Close() {
  if (std::exchange(owner_, nullptr) == nullptr) return;
  error_code ignored;
  timer_.cancel();
  resolver_.cancel();
  socket().close(ignored);
}

void ClientConnection::Fail(const absl::Status& why) {
  if (owner_ == nullptr) return;
  const auto keep = shared_from_this();
  Owner* owner = owner_;
  if (protocol_) protocol_->Lost(why);
  if (owner_ == nullptr) return;  // a handler closed us
  Close();
  owner->OnGone(this, why);
}

}  // namespace fairlead::net
